package testcluster_test

import (
	"database/sql"
	"testing"

	"tombola/internal/testcluster"
)

func TestEachMariaDBSchemaIsFreshAndItsOwn(t *testing.T) {
	one, two := testcluster.MariaDB(t), testcluster.MariaDB(t)
	if one.Schema == two.Schema || one.Addr != two.Addr {
		t.Fatalf("want two schemas in one server, got %+v and %+v", one, two)
	}
	for _, d := range []*testcluster.Database{one, two} {
		db, err := sql.Open("mysql", d.DSN)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec("CREATE TABLE t (n INT)"); err != nil {
			t.Fatalf("the schema %s is not fresh: %v", d.Schema, err)
		}
	}
}
