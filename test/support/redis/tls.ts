/** TLS for a Redis of the tests. */

import type { CertificateFiles } from '../network/certificates.ts'

/** What a Redis is told so that it speaks TLS at this port. */
export function tlsConfig({ ca, cert, key }: CertificateFiles, port: number): Readonly<Record<string, string>> {
  return {
    'tls-port': String(port),
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-ca-cert-file': ca,
    'tls-auth-clients': 'yes',
    'tls-cluster': 'yes',
  }
}
