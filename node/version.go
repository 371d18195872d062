package node

import "runtime/debug"

// Version returns the version that the build has from the module or from git.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(unknown)"
	}
	return info.Main.Version
}
