package e2e_test

import (
	"database/sql"
	"testing"
	"time"

	"tombola/internal/testcluster"
)

// daysAreThoseOfThePrizesZone grants at one moment in two zones that are 25
// hours apart, where it is never the same date.
func daysAreThoseOfThePrizesZone(t *testing.T, c *testcluster.Cluster, db *sql.DB) {
	days := make(map[string]bool)
	for prize, zone := range map[string]string{"early": "Pacific/Kiritimati", "late": "Pacific/Pago_Pago", "third": "Asia/Shanghai"} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		spec := counter(10)
		spec.DailyLimit, spec.Timezone = new(int64(5)), zone
		create(t, c, prize, spec)
		for node := range c.Nodes {
			r := granted(t, c.Client(node), prize, user(node), "")
			want := r.GrantedAt.Time().In(location).Format(time.DateOnly)
			sunk(t, c)
			if got := sendLog(t, db, prize)[r.GrantID].day; got != want {
				t.Errorf("%s, granted at %s: the send log's day is %s, want %s", zone, r.GrantedAt, got, want)
			}
			var sent int
			if err := db.QueryRowContext(t.Context(), "SELECT sent FROM daily_send WHERE prize_id = ? AND day = ?", prize, want).Scan(&sent); err != nil || sent < 1 {
				t.Errorf("%s: daily_send of %s: %d, %v", zone, want, sent, err)
			}
			days[want] = true
		}
		p, err := c.Client(0).Prize(within(t), prize)
		if err != nil || p.Granted != 3 {
			t.Errorf("%s: %+v, %v", zone, p, err)
		}
	}
	if len(days) < 2 {
		t.Errorf("all days are %v", days)
	}
	verified(t, c)
}
