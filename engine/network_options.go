package engine

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
)

// Options of networks by Docker's names.
const (
	optBridgeName   = "com.docker.network.bridge.name"
	optDefault      = "com.docker.network.bridge.default_bridge"
	optICC          = "com.docker.network.bridge.enable_icc"
	optMasquerade   = "com.docker.network.bridge.enable_ip_masquerade"
	optBinding      = "com.docker.network.bridge.host_binding_ipv4"
	optGatewayMode4 = "com.docker.network.bridge.gateway_mode_ipv4"
	optGatewayMode6 = "com.docker.network.bridge.gateway_mode_ipv6"
	optInhibit4     = "com.docker.network.bridge.inhibit_ipv4"
	optTrusted      = "com.docker.network.bridge.trusted_host_interfaces"
	optMTU          = "com.docker.network.driver.mtu"
	optPrefix       = "com.docker.network.container_iface_prefix"
	optHost4        = "com.docker.network.host_ipv4"
	optHost6        = "com.docker.network.host_ipv6"
	optEnable4      = "com.docker.network.enable_ipv4"
	optEnable6      = "com.docker.network.enable_ipv6"
	optParent       = "parent"
	optMacvlanMode  = "macvlan_mode"
	optIPvlanMode   = "ipvlan_mode"
	optIPvlanFlag   = "ipvlan_flag"
)

// networkOptions are a network's options, read.
type networkOptions struct {
	bridge       string
	mtu          int
	isolated     bool // enable_icc=false
	noMasquerade bool
	bare         bool       // no IPv4 address on the bridge
	alone4       bool       // gateway_mode_ipv4=isolated: the bridge has no address, so not even the host is reached
	alone6       bool       // the same for IPv6
	binding      netip.Addr // where published ports listen unless they say so
	prefix       string     // of the interfaces' names inside
	host4, host6 netip.Addr // sources of outgoing traffic
	parent       string
	mode         string // of macvlan or ipvlan
	flag         string // of ipvlan
	unknown      []string
}

// options reads the record's: they were read once when the network was made, so nothing is wrong with them.
func (r *networkRecord) options() networkOptions {
	o, _ := readOptions(r.Driver, r.Internal, r.Options)
	return o
}

// readOptions refuses what Docker's drivers refuse, in their words, and what this engine cannot do.
func readOptions(driver string, internal bool, given map[string]string) (networkOptions, error) {
	o := networkOptions{binding: netip.IPv4Unspecified(), prefix: "eth"}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		var err error
		switch driver {
		case driverBridge:
			err = o.ofBridge(name, given[name])
		default:
			err = o.ofParent(driver, name, given[name])
		}
		if err != nil {
			return o, err
		}
	}
	return o, o.check(driver, internal)
}

func (o *networkOptions) ofBridge(name, value string) error {
	var err error
	switch name {
	case optBridgeName:
		o.bridge = value
	case optMTU:
		o.mtu, err = strconv.Atoi(value)
	case optICC:
		o.isolated, err = not(value)
	case optMasquerade:
		o.noMasquerade, err = not(value)
	case optInhibit4:
		o.bare, err = strconv.ParseBool(value)
	case optGatewayMode4:
		o.alone4, err = gatewayMode(value)
	case optGatewayMode6:
		o.alone6, err = gatewayMode(value)
	case optBinding:
		o.binding, err = optionAddress(value)
	case optHost4:
		o.host4, err = optionAddress(value)
	case optHost6:
		o.host6, err = optionAddress(value)
	case optPrefix:
		o.prefix = value
	case optEnable4, optEnable6, optDefault:
		_, err = strconv.ParseBool(value)
	case optTrusted:
		err = errors.New("published ports are reached by the host's addresses only")
	default:
		o.unknown = append(o.unknown, name)
	}
	if err != nil {
		return invalid("failed to parse %s value: %s (%w)", name, value, err)
	}
	return nil
}

func not(value string) (bool, error) {
	yes, err := strconv.ParseBool(value)
	return !yes, err
}

func optionAddress(value string) (netip.Addr, error) {
	a, err := netip.ParseAddr(value)
	if err != nil {
		return a, errors.New("nil ip")
	}
	return a.Unmap(), nil
}

// gatewayMode says whether the mode is isolated.
func gatewayMode(value string) (bool, error) {
	switch value {
	case "nat":
		return false, nil
	case "isolated":
		return true, nil
	case "routed", "nat-unprotected":
		return false, errors.New("containers are reached from outside by published ports only; glassbox knows the modes nat and isolated")
	}
	return false, fmt.Errorf("unknown gateway mode %s", value)
}

func (o *networkOptions) ofParent(driver, name, value string) error {
	switch {
	case name == optParent:
		o.parent = value
	case name == driver+"_mode":
		o.mode = value
	case name == optIPvlanFlag && driver == driverIPvlan:
		o.flag = value
	case name == optEnable4 || name == optEnable6:
	default:
		o.unknown = append(o.unknown, name)
	}
	return nil
}

func (o *networkOptions) check(driver string, internal bool) error {
	switch driver {
	case driverBridge:
		if (o.alone4 || o.alone6) && !internal {
			return errors.New("gateway mode 'isolated' can only be used for an internal network")
		}
		if len(o.bridge) > 15 {
			return &Error{Class: InvalidParameter, Text: "numerical result out of range", Hint: &Hint{
				Why: "the kernel allows an interface's name 15 characters, and " + o.bridge + " has " + strconv.Itoa(len(o.bridge))}}
		}
	case driverMacvlan:
		return o.checkParent(driver, "bridge", "bridge", "private", "passthru", "vepa")
	case driverIPvlan:
		if err := o.checkParent(driver, "l2", "l2", "l3", "l3s"); err != nil {
			return err
		}
		if o.flag = either(o.flag, "bridge"); !slices.Contains([]string{"bridge", "private", "vepa"}, o.flag) {
			return fmt.Errorf("requested ipvlan flag '%s' is not valid, 'bridge' is the ipvlan driver default", o.flag)
		}
	}
	return nil
}

func (o *networkOptions) checkParent(driver, otherwise string, modes ...string) error {
	if o.mode == "" {
		o.mode = otherwise
	}
	if !slices.Contains(modes, o.mode) {
		return fmt.Errorf("requested %s mode '%s' is not valid, '%s' mode is the %s driver default", driver, o.mode, otherwise, driver)
	}
	if o.parent == "lo" {
		return fmt.Errorf("loopback interface is not a valid %s parent link", driver)
	}
	return nil
}

// layer3: packets for anywhere go straight into the interface, and the network has no gateway.
func (o *networkOptions) layer3(driver string) bool {
	return driver == driverIPvlan && (o.mode == "l3" || o.mode == "l3s")
}

// addressless: the bridge has no address of the family.
func (o *networkOptions) addressless(v6 bool) bool {
	if v6 {
		return o.alone6
	}
	return o.bare || o.alone4
}

// gateless says for each family that a network with these options has no gateway.
func (o *networkOptions) gateless(driver string, internal bool) (v4, v6 bool) {
	if driver == driverBridge {
		return o.alone4 || o.bare && internal, o.alone6
	}
	none := internal || o.parent == "" || o.layer3(driver)
	return none, none
}
