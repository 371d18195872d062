package membership

import "slices"

// Replicas is how many servers keep each group, where there are as many.
const Replicas = 3

// Placement says which servers keep which group: index 0 is the bank, index i
// is slice i. The first server of each is the one that should lead it. It
// depends on its arguments alone, not on the order of members, so that all
// servers come to the same.
//
// Slices go round the servers, so that each server leads its share; the bank
// is led by the last one. When a server dies, the slices it led have different
// servers next in line.
func Placement(members []string, slicesCount int) [][]string {
	sorted := slices.Clone(members)
	slices.Sort(sorted)
	n := len(sorted)
	groups := make([][]string, slicesCount+1)
	if n == 0 {
		return groups
	}
	groups[0] = replicas(sorted, n-1, false)
	for i := range slicesCount {
		groups[i+1] = replicas(sorted, i%n, i/n%2 == 1)
	}
	return groups
}

// replicas returns up to Replicas servers from first on; swapped has the
// followers in the other order.
func replicas(sorted []string, first int, swapped bool) []string {
	n := len(sorted)
	group := make([]string, min(n, Replicas))
	for k := range group {
		group[k] = sorted[(first+k)%n]
	}
	if swapped && len(group) == Replicas {
		group[1], group[2] = group[2], group[1]
	}
	return group
}
