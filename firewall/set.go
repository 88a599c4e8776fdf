package firewall

import (
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
)

// set is a set, or with a value a map. Its key is given by the fields that it is asked for.
type set struct {
	family   nftables.TableFamily
	id       uint32 // by which rules of the batch that makes it may name it
	name     string
	why      string
	key      joined
	value    joined
	interval bool // of prefixes
}

func (s *set) nft() *nftables.Set {
	n := &nftables.Set{Table: &nftables.Table{Name: tableName, Family: s.family}, ID: s.id, Name: s.name, KeyType: s.key.datatype(), Interval: s.interval}
	if s.value != nil {
		n.IsMap, n.DataType = true, s.value.datatype()
	}
	return n
}

// declared is the set's type, in nft's words.
func (s *set) declared() string {
	typ := "type " + s.key.datatype().Name
	for _, f := range s.key {
		if f.raw {
			typ = "typeof " + s.key.String()
		}
	}
	if s.value != nil {
		typ += " : " + s.value.datatype().Name
	}
	return typ
}

func (s *set) script(elements []element) string {
	kind := "set"
	if s.value != nil {
		kind = "map"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\t%s %s {\n\t\t%s\n", kind, s.name, s.declared())
	if s.interval {
		b.WriteString("\t\tflags interval\n")
	}
	if mine := s.of(elements); len(mine) > 0 {
		fmt.Fprintf(&b, "\t\telements = { %s }\n", strings.Join(mine, ",\n\t\t\t     "))
	}
	fmt.Fprintf(&b, "\t\tcomment %q\n", s.why)
	return b.String() + "\t}\n"
}

func (s *set) of(elements []element) []string {
	var mine []string
	for _, e := range elements {
		if e.set == s {
			mine = append(mine, e.words())
		}
	}
	return mine
}

// notes are what nft keeps with a set to print it again as it was typed: libnftnl's udata.h.
func (s *set) notes() []byte {
	b := userdata.AppendUint32(nil, userdata.NFTNL_UDATA_SET_KEYBYTEORDER, s.key.byteOrder())
	if s.value != nil {
		b = userdata.AppendUint32(b, userdata.NFTNL_UDATA_SET_DATABYTEORDER, s.value.byteOrder())
	}
	if strings.HasPrefix(s.declared(), "typeof") {
		b = userdata.Append(b, userdata.NFTNL_UDATA_SET_KEY_TYPEOF, s.key.note())
	}
	return userdata.AppendString(b, userdata.NFTNL_UDATA_SET_COMMENT, s.why)
}
