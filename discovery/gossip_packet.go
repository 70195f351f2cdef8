package discovery

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// An announcement is one datagram, in this order (numbers big-endian):
//
//	"kith"        4 bytes
//	version       1 byte, now 1
//	flags         1 byte, bit 0: hidden; bit 1: leaving, a node that is to be a candidate no more
//	time          8 bytes, nanoseconds since 1970
//	nonce        16 bytes, random
//	incarnation   8 bytes
//	mesh, name, addr  each 1 byte of length and that many bytes
//	signature    32 bytes, HMAC-SHA256 of all before it
//
// It is signed, not encrypted: names and addresses can be read on the network, the secret cannot.
const (
	gossipMagic   = "kith"
	gossipVersion = 1
	gossipHidden  = 1 << 0
	gossipLeaving = 1 << 1

	nonceLen     = 16
	gossipFixed  = len(gossipMagic) + 2 + 8 + nonceLen + 8
	gossipMacLen = sha256.Size
	// maxGossip is the longest announcement in bytes; it fits a datagram that no network splits.
	maxGossip = gossipFixed + 3*256 + gossipMacLen
)

var (
	errGossipFormat    = errors.New("no announcement of this program")
	errGossipVersion   = errors.New("announcement of another version")
	errGossipSignature = errors.New("announcement with a wrong signature: another cookie")
)

// announcement is what a node says about itself.
type announcement struct {
	at          time.Time
	nonce       [nonceLen]byte
	incarnation uint64
	hidden      bool
	leaving     bool
	mesh        string
	name        string
	addr        string
}

// gossipKey derives the key of signatures, so that no signature says anything of use about the secret elsewhere.
func gossipKey(secret []byte) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "kith discovery gossip 1", sha256.Size)
}

// encode signs and encodes a.
func (a announcement) encode(key []byte) ([]byte, error) {
	b := make([]byte, 0, maxGossip)
	b = append(b, gossipMagic...)
	var flags byte
	if a.hidden {
		flags |= gossipHidden
	}
	if a.leaving {
		flags |= gossipLeaving
	}
	b = append(b, gossipVersion, flags)
	b = binary.BigEndian.AppendUint64(b, uint64(a.at.UnixNano()))
	b = append(b, a.nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, a.incarnation)
	for _, s := range []string{a.mesh, a.name, a.addr} {
		if len(s) > 255 {
			return nil, fmt.Errorf("%q is longer than 255 bytes", s)
		}
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	return append(b, sign(key, b)...), nil
}

// decodeAnnouncement reads what encode wrote and tells the signed part from the signature, which it does not check.
func decodeAnnouncement(b []byte) (a announcement, signed, mac []byte, err error) {
	if len(b) < gossipFixed+3+gossipMacLen || len(b) > maxGossip || string(b[:len(gossipMagic)]) != gossipMagic {
		return a, nil, nil, errGossipFormat
	}
	if b[len(gossipMagic)] != gossipVersion {
		return a, nil, nil, errGossipVersion
	}
	signed, mac = b[:len(b)-gossipMacLen], b[len(b)-gossipMacLen:]
	rest := signed[len(gossipMagic)+1:]
	a.hidden, a.leaving = rest[0]&gossipHidden != 0, rest[0]&gossipLeaving != 0
	a.at = time.Unix(0, int64(binary.BigEndian.Uint64(rest[1:])))
	copy(a.nonce[:], rest[9:])
	a.incarnation = binary.BigEndian.Uint64(rest[9+nonceLen:])
	rest = rest[9+nonceLen+8:]
	for _, s := range []*string{&a.mesh, &a.name, &a.addr} {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			return a, nil, nil, errGossipFormat
		}
		*s = string(rest[1 : 1+int(rest[0])])
		rest = rest[1+int(rest[0]):]
	}
	if len(rest) != 0 {
		return a, nil, nil, errGossipFormat
	}
	return a, signed, mac, nil
}

// gossipKeys derives the keys of several secrets.
func gossipKeys(secrets [][]byte) ([][]byte, error) {
	keys := make([][]byte, 0, len(secrets))
	for _, s := range secrets {
		key, err := gossipKey(s)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// checkSignature checks mac against several keys, for each in a time that does not depend on where it is wrong.
func checkSignature(keys [][]byte, signed, mac []byte) error {
	for _, key := range keys {
		if hmac.Equal(sign(key, signed), mac) {
			return nil
		}
	}
	return errGossipSignature
}

func sign(key, signed []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(signed)
	return h.Sum(nil)
}
