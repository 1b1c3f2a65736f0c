// Package servers names the test servers that are built from source, so that go.mod pins them:
// `go install package@version` asks for the list of all versions, which not every proxy gives.
package servers

import _ "github.com/Shopify/toxiproxy/v2"
