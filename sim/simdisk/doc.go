// Package simdisk is the disk of a simulated host: a host.FS that forgets in a
// power failure what was not synced, as disks do.
//
// What is written is in the page cache: every program sees it, and it outlives
// the process that wrote it (Kill). What was synced is on the platter. A power
// failure (Crash) keeps, of the sectors of 512 bytes that were written and not
// synced, an arbitrary subset drawn from the seed, so writes tear; of the lengths
// that a file had since its last sync, one, or one on the way of a write that made
// it longer; and of the changes of each name whose directory was not synced, the
// first so many; a file that got another name has one of the two.
//
// After a failed sync the bytes are in the cache, count as clean, and are not on
// the platter: a later sync does not bring them there (Rebello et al., Can
// Applications Recover from fsync Failures?, 2020).
//
// Faults are rules (Fail), a capacity, latency, a stall, and rot. An operation
// that takes time blocks its caller on a channel that an event of the world
// closes, so the disk's time is true time, whatever the caller's clock.
//
// Files are sparse: pages of 4 KiB exist once something was written to them.
package simdisk
