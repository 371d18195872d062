package persist_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tombola/internal/testcluster"
	"tombola/persist"
)

func TestThreeNodesMayOpenANewDatabaseAtOnce(t *testing.T) {
	for _, driver := range []string{persist.DriverSQLite, persist.DriverMySQL} {
		t.Run(driver, func(t *testing.T) {
			cfg := persist.Config{Driver: driver, ClusterID: "c-1"}
			if driver == persist.DriverMySQL {
				cfg.DSN = testcluster.MariaDB(t).DSN
			} else {
				cfg.Path = filepath.Join(t.TempDir(), "sink.db")
			}
			var nodes sync.WaitGroup
			for node := range uint16(3) {
				nodes.Go(func() {
					s, err := persist.Open(t.Context(), cfg)
					if err != nil {
						t.Errorf("node %d: %v", node, err)
						return
					}
					defer s.Close()
					if err := s.Write(t.Context(), node+1, 0, events(0, 20)); err != nil {
						t.Errorf("node %d: %v", node, err)
					}
				})
			}
			nodes.Wait()
			s, err := persist.Open(t.Context(), cfg)
			must(t, err)
			defer s.Close()
			for stream := uint16(1); stream <= 3; stream++ {
				expectPrefix(t, s, stream, 20)
			}
		})
	}
}

func TestOfTwoClustersThatClaimADatabaseAtOnceOneGetsIt(t *testing.T) {
	for _, driver := range []string{persist.DriverSQLite, persist.DriverMySQL} {
		t.Run(driver, func(t *testing.T) {
			cfg := persist.Config{Driver: driver}
			if driver == persist.DriverMySQL {
				cfg.DSN = testcluster.MariaDB(t).DSN
			} else {
				cfg.Path = filepath.Join(t.TempDir(), "sink.db")
			}
			errs := make([]error, 4)
			var nodes sync.WaitGroup
			for i := range errs {
				mine := cfg
				mine.ClusterID = string(rune('a' + i))
				nodes.Go(func() {
					s, err := persist.Open(t.Context(), mine)
					if errs[i] = err; err == nil {
						errs[i] = s.Close()
					}
				})
			}
			nodes.Wait()
			owners := 0
			for _, err := range errs {
				if err == nil {
					owners++
				} else if !errors.Is(err, persist.ErrForeignCluster) {
					t.Error(err)
				}
			}
			if owners != 1 {
				t.Errorf("%d clusters own the database", owners)
			}
		})
	}
}

func TestADatabaseOfAnotherClusterIsRefusedAndLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		_, err := db.raw.Exec("DELETE FROM tombola_migration WHERE version_id > 0")
		must(t, err)
		foreign := db.cfg
		foreign.ClusterID = "C-1" // ids differ by case too
		if _, err := persist.Open(t.Context(), foreign); !errors.Is(err, persist.ErrForeignCluster) {
			t.Fatalf("want ErrForeignCluster, got %v", err)
		}
		if n := db.int(t, "SELECT COUNT(*) FROM tombola_migration WHERE version_id > 0"); n != 0 {
			t.Error("the foreign node migrated the database")
		}
	})
}

func TestAnInterruptedMySQLMigrationIsRunAgain(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	_, err := db.raw.Exec("DELETE FROM tombola_migration WHERE version_id > 0")
	must(t, err)
	_, err = db.raw.Exec("DROP TABLE coupon_code")
	must(t, err)
	db.open(t)
	if n := db.int(t, "SELECT COUNT(*) FROM coupon_code"); n != 0 {
		t.Error("coupon_code is not new")
	}
}

func TestASchemaFromANewerBinaryIsAccepted(t *testing.T) {
	onEach(t, func(t *testing.T, db *database) {
		_, err := db.raw.Exec("INSERT INTO tombola_migration (version_id, is_applied) VALUES (9999, 1)")
		must(t, err)
		db.open(t)
	})
}

func TestWrongConfigsAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  persist.Config
		want string
	}{
		"no cluster":       {persist.Config{Driver: "sqlite", Path: "x"}, "cluster id"},
		"long cluster":     {persist.Config{Driver: "sqlite", Path: "x", ClusterID: strings.Repeat("c", 129)}, "cluster id"},
		"unknown driver":   {persist.Config{Driver: "oracle", ClusterID: "c"}, `unknown driver "oracle"`},
		"no path":          {persist.Config{Driver: "sqlite", ClusterID: "c"}, "no path"},
		"no schema in DSN": {persist.Config{Driver: "mysql", DSN: "tcp(127.0.0.1:1)/", ClusterID: "c"}, "no schema"},
		"broken DSN":       {persist.Config{Driver: "mysql", DSN: "pw:secret", ClusterID: "c"}, "data source name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := persist.Open(t.Context(), c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want an error that says %s", err, c.want)
			}
		})
	}
}

func TestWhatTheWriterDependsOnDoesNotHangOnTheDSN(t *testing.T) {
	db := newDatabase(t, persist.DriverMySQL)
	db.cfg.DSN += "?parseTime=false&loc=Asia%2FShanghai&time_zone=%27%2B08%3A00%27&sql_mode=%27%27" +
		"&clientFoundRows=false&interpolateParams=false&charset=latin1&columnsWithAlias=true"
	s := db.open(t)
	row := grant(1)
	row.Event.User = []byte("grüß dich 🎉")
	must(t, s.Write(t.Context(), 1, 0, []persist.Row{row}))
	got, err := s.UserGrants(t.Context(), "grüß dich 🎉", "", 10)
	must(t, err)
	if len(got) != 1 || got[0].GrantedAt != row.Event.At || got[0].Day != row.Event.Day {
		t.Errorf("got %+v", got)
	}
}
