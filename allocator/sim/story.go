package sim

import (
	"fmt"
	"strings"

	"tombola/allocator"
)

// names are the crowd's users, and those who come in the end.
const lateUsers = 40

// userName returns a user's id: two letters.
func userName(i int) []byte {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	return []byte{letters[i/26], letters[i%26]}
}

func userNo(name []byte) int { return int(name[0]-'a')*26 + int(name[1]-'a') }

// requestName returns a request id, none for 0.
func requestName(i int) []byte {
	if i == 0 {
		return nil
	}
	return []byte{'r', byte('0' + i)}
}

func requestNo(name []byte) int {
	if len(name) == 0 {
		return 0
	}
	return int(name[1] - '0')
}

func requestText(i int) string {
	if i == 0 {
		return ""
	}
	return "/" + string(requestName(i))
}

func parcelText(p *parcel) string {
	if p.to == 0 {
		return fmt.Sprintf("slice %d → bank: %s", p.from, noteText(&p.note))
	}
	return fmt.Sprintf("bank → slice %d: %s", p.to, wordText(&p.word))
}

func noteText(n *allocator.Note) string {
	var b strings.Builder
	fmt.Fprintf(&b, "note of prize %d's %v at v%d: last lot %d, last return %d", n.Prize, n.Purse, n.Version, n.Lots, n.Returns)
	if n.Open > 0 {
		fmt.Fprintf(&b, " (open, %d tokens)", n.Open)
	}
	if n.Empty {
		b.WriteString(", empty")
	}
	if n.Dry {
		b.WriteString(", knows dry")
	}
	if n.Need > 0 {
		fmt.Fprintf(&b, ", needs %d", n.Need)
	}
	if n.Strays > 0 {
		fmt.Fprintf(&b, ", %d strays", n.Strays)
	}
	for _, c := range n.Before {
		fmt.Fprintf(&b, ", before the epoch %d on %v", c.Grants, c.Day)
	}
	return b.String()
}

func wordText(w *allocator.Word) string {
	switch w.Kind {
	case allocator.WordDefine:
		d := &w.Define
		return fmt.Sprintf("definition v%d of prize %d: total %d, daily limit %d, user limit %d, status %d", w.Version, w.Prize, d.Total, d.DailyLimit, d.PerUserLimit, d.Status)
	case allocator.WordLot:
		return fmt.Sprintf("lot %d of prize %d's %v: %d tokens", w.N, w.Prize, w.Purse, w.Tokens)
	case allocator.WordReceived:
		return fmt.Sprintf("return %d of prize %d's %v is received", w.N, w.Prize, w.Purse)
	case allocator.WordRecall:
		return fmt.Sprintf("recall of %d tokens of prize %d's %v", w.Tokens, w.Prize, w.Purse)
	case allocator.WordDry:
		return fmt.Sprintf("prize %d's %v is dry at v%d", w.Prize, w.Purse, w.Version)
	default:
		return fmt.Sprintf("prize %d is paced until %s at v%d", w.Prize, w.Until.Time(), w.Version)
	}
}

func verdictText(out *allocator.Outcome) string {
	names := map[allocator.Verdict]string{
		allocator.Granted: "granted", allocator.SoldOut: "sold_out", allocator.DailyLimit: "daily_limit",
		allocator.UserLimit: "user_limit", allocator.NotStarted: "not_started", allocator.Ended: "ended",
		allocator.Paused: "paused", allocator.NotReleased: "not_released", allocator.Short: "short, it waits",
		allocator.Misrouted: "misrouted", allocator.UnknownPrize: "unknown prize, it waits", allocator.Again: "again",
	}
	text := names[out.Verdict]
	if out.Verdict == allocator.Granted {
		text += fmt.Sprintf(" as event %d", out.Seq)
	}
	if out.Repeat {
		text += ", a repeat"
	}
	if out.GrantVoided {
		text += ", voided since"
	}
	return text
}
