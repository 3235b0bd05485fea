package cdb

// The layout of spec section 0.2: a header of 256 pairs (position, slots),
// records, and then the 256 tables.
const (
	tables     = 256
	pairSize   = 8 // two 32-bit little-endian numbers
	headerSize = tables * pairSize
	maxFile    = 1<<32 - 1
	slotsEach  = 2 // that a table has for a record
)

// hash is the database's hash of a key; its low byte chooses the table, the
// rest the first slot.
func hash(key []byte) uint32 {
	h := uint32(5381)
	for _, b := range key {
		h = h*33 ^ uint32(b)
	}
	return h
}
