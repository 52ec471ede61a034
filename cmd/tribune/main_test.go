// Package main_test runs the program as its users do: real processes on
// loopback, on real disks, used with Consul's official client.
package main_test
