package wire

// The states of a grant.
const (
	StateGranted = "granted"
	StateVoided  = "voided"
)

// Grant is one grant.
type Grant struct {
	GrantID   GrantID `json:"grant_id"`
	Prize     string  `json:"prize"`
	User      string  `json:"user"`
	State     string  `json:"state"`
	RequestID string  `json:"request_id,omitzero"`
	// Code is sent to holders of the admin token only.
	Code      string `json:"code,omitzero"`
	GrantedAt Time   `json:"granted_at"`
	VoidedAt  Time   `json:"voided_at,omitzero"`
}

// UserGrants are a user's grants, the newest first.
type UserGrants struct {
	User   string  `json:"user"`
	Grants []Grant `json:"grants"`
	// More says that older ones were left out for the limit.
	More bool `json:"more"`
}
