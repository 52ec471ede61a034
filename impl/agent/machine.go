package agent

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"tribune/impl/api"
	"tribune/impl/host"
)

// machine describes the machine that the agent runs on, as its kernel does (Linux:
// proc(5)). What cannot be read is left out and named in Errors.
func machine(h host.Host) api.AgentHost {
	a := api.AgentHost{CollectionTime: time.Now().UnixNano()}
	read := func(name string) string {
		b, err := host.ReadFile(h.FS(), name)
		if err != nil {
			a.Errors = append(a.Errors, err.Error())
		}
		return strings.TrimSpace(string(b))
	}
	a.Memory = memory(read("/proc/meminfo"))
	a.CPU = processors(read("/proc/cpuinfo"))
	a.Host = &api.HostInfo{OS: runtime.GOOS, KernelArch: runtime.GOARCH, KernelVersion: read("/proc/sys/kernel/osrelease")}
	seconds, _, _ := strings.Cut(read("/proc/uptime"), ".")
	a.Host.Uptime, _ = strconv.ParseUint(seconds, 10, 64) // 0 where it is not known
	var err error
	if a.Host.Hostname, err = h.Hostname(); err != nil {
		a.Errors = append(a.Errors, fmt.Sprintf("the host's name: %v", err))
	}
	return a
}

// memory reads /proc/meminfo, which counts in units of 1024 bytes.
func memory(text string) *api.HostMemory {
	var m api.HostMemory
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		n, _ := strconv.ParseUint(words[1], 10, 64) // what is no number does not concern us
		switch words[0] {
		case "MemTotal:":
			m.Total = n << 10
		case "MemFree:":
			m.Free = n << 10
		case "MemAvailable:":
			m.Available = n << 10
		}
	}
	m.Used = m.Total - min(m.Available, m.Total)
	if m.Total > 0 {
		m.UsedPercent = 100 * float64(m.Used) / float64(m.Total)
	}
	return &m
}

// processors reads /proc/cpuinfo.
func processors(text string) []api.HostCPU {
	list := []api.HostCPU{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if key = strings.TrimSpace(key); key == "processor" {
			n, _ := strconv.ParseInt(value, 10, 32)
			list = append(list, api.HostCPU{CPU: int32(n)})
			continue
		}
		if len(list) == 0 {
			continue
		}
		switch last := &list[len(list)-1]; key {
		case "vendor_id":
			last.VendorID = value
		case "model name":
			last.ModelName = value
		case "cpu MHz":
			last.MHz, _ = strconv.ParseFloat(value, 64)
		}
	}
	return list
}
