package config

// hidden stands wherever a secret would be printed.
const hidden = "(hidden)"

// Secret is text that must not be printed or logged. Convert it to string or []byte to use it.
type Secret string

// String returns a placeholder, or nothing for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// MarshalText is String, for JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
