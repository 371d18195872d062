package node

import "testing"

func TestClientsLeaveFileDescriptorsToTheRest(t *testing.T) {
	for descriptors, want := range map[uint64]int{256: 128, 1024: 512, 4096: 2048, 20000: 17952, 1 << 20: 65536} {
		if got := connections(descriptors); got != want {
			t.Errorf("of %d descriptors %d are for clients, want %d", descriptors, got, want)
		}
	}
}
