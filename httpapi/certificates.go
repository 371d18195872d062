package httpapi

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"
)

// Certificates is a server's certificate, read from two files, that can be read
// again while the server runs. Its methods may be called concurrently.
type Certificates struct {
	certFile, keyFile string
	now               atomic.Pointer[tls.Certificate]
}

// LoadCertificates reads a certificate chain and its key, both PEM.
func LoadCertificates(certFile, keyFile string) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile}
	return c, c.Reload()
}

// Reload reads the files again. On an error the certificate stays what it was.
func (c *Certificates) Reload() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("httpapi: load certificate %s: %w", c.certFile, err)
	}
	c.now.Store(&pair)
	return nil
}

// TLS returns a configuration whose new connections use the certificate as it
// is then.
func (c *Certificates) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.now.Load(), nil
		},
	}
}
