package local

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"tribune/impl/api"
	"tribune/impl/definition"
)

// Definitions are the services and checks of the configuration.
type Definitions struct {
	Services []api.ServiceDefinition
	Checks   []api.CheckDefinition
}

// load takes up the definitions of the configuration and what the data directory
// has beside them; services first, for a check may be of any of them. What the
// configuration defines is not looked for on disk: the configuration is the newer
// word.
func (s *State) load(d Definitions) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.defineServices(d.Services); err != nil {
		return err
	}
	whole, err := s.loadServices()
	if err != nil {
		return err
	}
	if err := s.defineChecks(d.Checks); err != nil {
		return err
	}
	return errors.Join(s.loadChecks(whole), s.loadFindings())
}

// loadServices reports whether all services on disk are there now.
func (s *State) loadServices() (whole bool, err error) {
	services, whole, err := kept[api.ServiceDefinition](s.files, servicesDir)
	if err != nil {
		return false, err
	}
	for _, r := range services {
		if s.has(r.ID) {
			err = errors.Join(err, s.files.forgetService(r.ID))
			continue
		}
		if invalid := definition.ValidateService(r); invalid != nil {
			s.log.Error("a service on disk is left out", "service", r.ID, "error", invalid)
			whole = false
			continue
		}
		s.enter(&service{NodeService: instance(r), token: r.Token})
	}
	return whole, err
}

// loadChecks takes in the checks on disk. Those of a service that is gone are
// forgotten, if the services are whole: one that could not be read may come back.
func (s *State) loadChecks(whole bool) error {
	checks, _, err := kept[api.CheckDefinition](s.files, checksDir)
	if err != nil {
		return err
	}
	for _, c := range checks {
		lost := c.ServiceID != "" && !s.has(c.ServiceID)
		if s.checks[c.CheckID] != nil || lost && whole {
			err = errors.Join(err, s.files.forgetCheckAlone(c.CheckID))
			continue
		}
		if lost {
			s.log.Error("a check on disk is left out: its service is not there", "check", c.CheckID, "service", c.ServiceID)
			continue
		}
		var invalid error
		if Type(c) != maintenance { // which no prober knows: it is set by hand
			invalid = validateCheck(s.prober, c, false)
		}
		if invalid == nil {
			invalid = s.putBack(c)
		}
		if invalid != nil {
			s.log.Error("a check on disk is left out", "check", c.CheckID, "error", invalid)
		}
	}
	return err
}

// putBack takes in a check that was on disk. Whatever its definition says to begin
// with, it is critical until it has found something: nobody knows how things are now.
func (s *State) putBack(d api.CheckDefinition) error {
	c := s.fresh(d, false)
	c.Status = api.HealthCritical
	s.enter(nil, c)
	return s.begin(c)
}

// loadFindings sets TTL checks to what they found before a restart, as long as
// that counts.
func (s *State) loadFindings() error {
	findings, _, err := kept[finding](s.files, findingsDir)
	if err != nil {
		return err
	}
	for _, f := range findings {
		c := s.checks[f.ID]
		if c == nil || c.probe == nil || c.definition.TTL == 0 || time.Now().After(f.Until) {
			err = errors.Join(err, s.files.remove(findingsDir, f.ID))
			continue
		}
		if _, invalid := c.probe.Touch(f.Status, f.Output); invalid != nil {
			s.log.Error("what a check has found, on disk, is left out", "check", f.ID, "error", invalid)
		}
	}
	return err
}

func (s *State) defineServices(list []api.ServiceDefinition) error {
	for _, n := range list {
		if err := s.addService(n, false, true); err != nil {
			return fmt.Errorf("service %q: %w", cmp.Or(n.ID, n.Name), err)
		}
	}
	return nil
}

func (s *State) defineChecks(list []api.CheckDefinition) error {
	for _, c := range list {
		if err := s.addCheck(c, true); err != nil {
			return fmt.Errorf("check %q: %w", cmp.Or(c.CheckID, c.Name), err)
		}
	}
	return nil
}

// Reload puts other definitions in the place of those that the configuration had.
// What is defined as before goes on undisturbed; what is not any more goes. What
// somebody registered by the API stays, also checks of services that the
// configuration defines.
func (s *State) Reload(d Definitions) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := Validate(s.prober, d); err != nil {
		return err
	}
	stays := map[string]bool{}   // services
	staying := map[string]bool{} // checks, by themselves or in a service's definition
	for _, n := range d.Services {
		n.ID = cmp.Or(n.ID, n.Name)
		stays[n.ID] = true
		inside, err := checksOf(s.prober, n, true)
		if err != nil {
			return err
		}
		for _, c := range inside {
			staying[c.CheckID] = true
		}
	}
	s.mu.Lock()
	services, checks := sorted(s.services), sorted(s.checks)
	s.mu.Unlock()
	for _, n := range services {
		if !n.filed && !n.gone {
			stays[n.ID] = true
		}
	}
	for _, c := range d.Checks {
		id := cmp.Or(c.CheckID, c.Name)
		if staying[id] = true; c.ServiceID != "" && !stays[c.ServiceID] {
			return fmt.Errorf("check %q: ServiceID %q does not exist", id, c.ServiceID)
		}
	}
	var errs []error
	for _, n := range services {
		if n.filed && !n.gone && !stays[n.ID] {
			errs = append(errs, s.removeService(n.ID))
		}
	}
	errs = append(errs, s.defineServices(d.Services), s.defineChecks(d.Checks)) // before checks go, so that no service is without
	for _, c := range checks {
		if c.filed && !c.gone && !staying[c.CheckID] {
			errs = append(errs, s.removeCheck(c.CheckID))
		}
	}
	s.push()
	return errors.Join(errs...)
}

// Validate returns why definitions cannot be, as a whole.
func Validate(p Prober, d Definitions) error {
	for _, n := range d.Services {
		n.ID = cmp.Or(n.ID, n.Name)
		err := definition.ValidateService(n)
		if err == nil {
			_, err = checksOf(p, n, true)
		}
		if err != nil {
			return fmt.Errorf("service %q: %w", n.ID, err)
		}
	}
	for _, c := range d.Checks {
		c.CheckID = cmp.Or(c.CheckID, c.Name)
		if err := validateCheck(p, c, true); err != nil {
			return fmt.Errorf("check %q: %w", c.CheckID, err)
		}
	}
	return nil
}
