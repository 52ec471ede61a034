package simdisk

// Operation is something that a program does with a disk and that changes it.
type Operation struct {
	Disk  string // its name
	Op    string // "create", "write", "sync", "truncate", "rename", "remove", "mkdir" or "syncdir"
	Name  string // of the file; of a rename, the new one
	From  string // of a rename, the old name
	Data  []byte // of a write; not to be changed or kept
	After bool   // it has been done; otherwise it is about to be, and nothing of it has happened
	Err   error  // why it failed, After
}

// Observer is told of operations, before and after each, by the goroutine that
// does them; it must not do any on that disk. If it returns a channel, the
// goroutine goes on when that is closed: the operation waits, in no virtual time
// if the channel is closed at once.
type Observer func(Operation) (hold <-chan struct{})

// Observe has one more observer told of all operations from now on.
func (d *Disk) Observe(o Observer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.observers = append(d.observers, o)
}

// observed does an operation under the eyes of the observers. The caller does not
// hold the lock.
func (d *Disk) observed(o Operation, do func() error) error {
	d.mu.Lock()
	observers := d.observers
	d.mu.Unlock()
	if len(observers) == 0 {
		return do()
	}
	o.Disk = d.name
	tell(observers, o)
	o.Err, o.After = do(), true
	tell(observers, o)
	return o.Err
}

func tell(observers []Observer, o Operation) {
	for _, observer := range observers {
		if hold := observer(o); hold != nil {
			<-hold
		}
	}
}

// Content is what programs see of a file, nil if there is none. It takes no time
// and is no operation.
func (d *Disk) Content(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, n, err := d.walk(name)
	if err != nil || n == nil || n.isDir {
		return nil
	}
	b := make([]byte, n.size)
	n.read(b, 0)
	return b
}
