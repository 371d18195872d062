package allocator

// Field names a part of a definition that a change can set.
type Field uint16

// The fields.
const (
	FieldKind Field = 1 << iota
	FieldStatus
	FieldTotal
	FieldDailyLimit
	FieldPerUserLimit
	FieldZone
	FieldStartsAt
	FieldEndsAt
	FieldRelease

	// FieldsAll are the fields that replacing a definition sets.
	FieldsAll = FieldKind | FieldTotal | FieldDailyLimit | FieldPerUserLimit |
		FieldZone | FieldStartsAt | FieldEndsAt | FieldRelease
)

// Change is an operator's order to create, change or delete a prize.
type Change struct {
	Prize  string
	Actor  string // who, for the audit trail
	Create bool   // make the prize if there is none
	Set    Field  // the fields of To that count
	To     Definition
	// If is the version that the prize must have, 0 for any, Absent for a prize
	// that must not be there.
	If Version
	// Remark, if not empty, makes this an entry of the audit trail only: what an
	// operator has done to the prize's grants, in a slice. Nothing changes.
	Remark string
}

// Absent is the If of a Change that wants that there is no such prize. None has
// this version, ever.
const Absent Version = maxVersion

// Readable reports whether c could be read back from a log. What can't be must
// not get into one: every replica would end at it, again and again.
func (c *Change) Readable() bool {
	d := decoder{b: appendChange(nil, c)}
	d.change()
	return d.err == nil && d.done()
}

// ChangeVerdict is what became of a change.
type ChangeVerdict uint8

// The verdicts on changes.
const (
	ChangeCreated   ChangeVerdict = 1
	ChangeDone      ChangeVerdict = 2  // committed; its Operation tells when it holds everywhere
	ChangeUnknown   ChangeVerdict = 3  // no such prize
	ChangeDeleted   ChangeVerdict = 4  // the id was used by a prize that was deleted
	ChangeKind      ChangeVerdict = 5  // the kind can't change
	ChangeZone      ChangeVerdict = 6  // the zone can't change once tokens have left the bank
	ChangeArchived  ChangeVerdict = 7  // the prize is over and its users forgotten
	ChangeWrongIf   ChangeVerdict = 8  // the prize has another version
	ChangeBadValues ChangeVerdict = 9  // not a definition
	ChangeFull      ChangeVerdict = 10 // the cluster has had as many prizes as it can
	ChangeRemarked  ChangeVerdict = 11 // recorded, and nothing else
)

// ChangeOutcome is what became of one change.
type ChangeOutcome struct {
	Verdict   ChangeVerdict
	Prize     PrizeNo
	Operation uint64
	Version   Version // of the prize, after it
}

// OperationState says how far a change has come.
type OperationState uint8

// The states of an operation.
const (
	OperationPending      OperationState = 1 // a slice has not confirmed yet, or tokens are being recalled
	OperationDone         OperationState = 2
	OperationBelowGranted OperationState = 3 // the total was below what is granted: it stays as it was
	OperationStrays       OperationState = 4 // a user limit came too late: grants were not routed by user
)

// Operation is the last change to a prize and how far it has come.
type Operation struct {
	Number  uint64
	Version Version // that slices must have for it to hold
	State   OperationState
	Granted int64 // of OperationBelowGranted
}

func appendChange(b []byte, c *Change) []byte {
	b = appendText(b, c.Prize)
	b = appendText(b, c.Actor)
	b = appendBool(b, c.Create)
	b = appendUint(b, uint64(c.Set))
	def := c.To
	def.No = 1 // the bank gives numbers; the encoding wants a valid one
	b = appendDefinition(b, &def)
	b = appendUint(b, uint64(c.If))
	return appendText(b, c.Remark)
}

func (d *decoder) change() Change {
	c := Change{Prize: d.text(maxText), Actor: d.text(maxText), Create: d.bool(), Set: Field(d.uint())}
	c.To = d.definition()
	c.To.No = 0
	c.If = d.revision()
	c.Remark = d.text(maxAction)
	return c
}
