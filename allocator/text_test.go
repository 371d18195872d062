package allocator

import (
	"fmt"
	"strings"
)

func wordText(w *Word) string {
	switch w.Kind {
	case WordDefine:
		return fmt.Sprintf("define %d v%d", w.Prize, w.Version)
	case WordLot:
		return fmt.Sprintf("lot %d of %d: %d tokens of %v, v%d", w.N, w.Prize, w.Tokens, w.Purse, w.Version)
	case WordReceived:
		return fmt.Sprintf("received return %d of %d's %v", w.N, w.Prize, w.Purse)
	case WordRecall:
		return fmt.Sprintf("recall %d of %d's %v", w.Tokens, w.Prize, w.Purse)
	case WordDry:
		return fmt.Sprintf("dry %d's %v at v%d", w.Prize, w.Purse, w.Version)
	default:
		return fmt.Sprintf("paced %d until %d at v%d", w.Prize, w.Until, w.Version)
	}
}

func noteText(n *Note) string {
	var b strings.Builder
	fmt.Fprintf(&b, "note %d's %v v%d lots %d returns %d", n.Prize, n.Purse, n.Version, n.Lots, n.Returns)
	if n.Open > 0 {
		fmt.Fprintf(&b, " open %d", n.Open)
	}
	if n.Empty {
		b.WriteString(" empty")
	}
	if n.Dry {
		b.WriteString(" dry")
	}
	if n.Need > 0 {
		fmt.Fprintf(&b, " need %d", n.Need)
	}
	if n.Strays > 0 {
		fmt.Fprintf(&b, " strays %d", n.Strays)
	}
	for _, c := range n.Before {
		fmt.Fprintf(&b, " before %v: %d", c.Day, c.Grants)
	}
	return b.String()
}

func verdictText(v Verdict) string {
	names := map[Verdict]string{
		Granted: "granted", SoldOut: "sold_out", DailyLimit: "daily_limit", UserLimit: "user_limit",
		NotStarted: "not_started", Ended: "ended", Paused: "paused", NotReleased: "not_released",
		Short: "short", Misrouted: "misrouted", UnknownPrize: "unknown prize", Again: "again",
		Voided: "voided", Already: "already voided", NoSuchGrant: "no such grant", Accepted: "accepted", Stale: "stale",
	}
	return names[v]
}

func outcomeText(s *site, a *ask, out *Outcome) string {
	text := a.user + " " + verdictText(out.Verdict)
	if out.Verdict == Granted {
		text += " " + NewGrantID(s.no, out.Seq).String()
	}
	if out.Repeat {
		text += " repeat"
	}
	if out.GrantVoided {
		text += " voided"
	}
	if out.Until != 0 {
		text += fmt.Sprintf(" until %d", out.Until)
	}
	return text
}
