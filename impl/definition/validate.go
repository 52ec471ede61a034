package definition

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tribune/impl/api"
	"tribune/impl/fault"
)

// Consul's limits on metadata.
const (
	maxMeta      = 64
	maxMetaKey   = 128
	maxMetaValue = 512
	maxWeight    = 65535
)

// ValidateService returns why a service cannot be, as an error of kind
// fault.Invalid with Consul's text.
func ValidateService(d api.ServiceDefinition) error {
	switch {
	case d.Name == "":
		return fault.New(fault.Invalid, "Missing service name")
	case api.AnyAddress(d.Address):
		return fault.New(fault.Invalid, "Invalid service address")
	case d.Port < 0 || d.Port > 65535:
		return fault.New(fault.Invalid, "Invalid service port %d", d.Port)
	}
	if w := d.Weights; w != nil {
		switch {
		case w.Passing < 1:
			return fault.New(fault.Invalid, "Invalid Weights: Passing must be greater than 0")
		case w.Warning < 0:
			return fault.New(fault.Invalid, "Invalid Weights: Warning must be greater or equal than 0")
		case w.Passing > maxWeight || w.Warning > maxWeight:
			return fault.New(fault.Invalid, "Invalid Weights: DNS Weight must be between 0 and 65535")
		}
	}
	if err := ValidateMeta(d.Meta); err != nil {
		return fault.New(fault.Invalid, "Invalid Service Meta: %w", err)
	}
	return nil
}

// ValidateMeta returns what Consul does not allow in the metadata of a node or a
// service.
func ValidateMeta(meta map[string]string) error {
	if len(meta) > maxMeta {
		return fmt.Errorf("metadata cannot contain more than %d key/value pairs", maxMeta)
	}
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		value := meta[key]
		switch {
		case key == "":
			return errors.New("couldn't load metadata pair ('', '" + value + "'): key cannot be blank")
		case strings.ContainsFunc(key, func(r rune) bool { return !strings.ContainsRune(metaKeyRunes, r) }):
			return fmt.Errorf("couldn't load metadata pair ('%s', '%s'): key contains invalid characters", key, value)
		case utf8.RuneCountInString(key) > maxMetaKey:
			return fmt.Errorf("couldn't load metadata pair ('%s', '%s'): key is too long (limit: %d characters)", key, value, maxMetaKey)
		case strings.HasPrefix(key, reservedMeta):
			return fmt.Errorf("couldn't load metadata pair ('%s', '%s'): key prefix '%s' is reserved for internal use", key, value, reservedMeta)
		case utf8.RuneCountInString(value) > maxMetaValue:
			return fmt.Errorf("couldn't load metadata pair ('%s', '%s'): value is too long (limit: %d characters)", key, value, maxMetaValue)
		}
	}
	return nil
}

const (
	metaKeyRunes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	reservedMeta = "consul-"
)
