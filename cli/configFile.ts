/** The file that `reprise config init` writes: every option with its default, commented out. */

export const CONFIG_FILE = `# Configuration of a Reprise hub: reprise serve --config reprise.yaml
# Each option stands here with its default, or with an example. What it means: docs/configuration.md
# Secrets may be env:NAME or file:PATH. Is the file right? reprise config check reprise.yaml

# port: 3000
# host: 127.0.0.1            # another one needs auth, or open: true
# open: false                # lets everyone in whom nothing asks for a token
# data: ./data               # folder of the embedded store; or
# store: redis://127.0.0.1:6379
# path: /socket.io
# allowOrigins: [https://app.example.com]
# trustProxy: [10.0.0.0/8]
# reserveBytes: 256MiB
# drainMs: 10s
# keepAliveMs: 75s
# logLevel: info
# console: true            # the page at / that shows the hub

# Who may do what: docs/security.md
# auth:
#   jwt:                     # one or more of secret, publicKey and jwks
#     secret: env:REPRISE_JWT_SECRET
#     publicKey: file:jwt.pem
#     jwks: https://id.example.org/keys.json
#     issuer: https://id.example.org
#     audience: reprise
#     algorithms: [HS256]    # all that go with the keys
#   keys:                    # reprise key new backend
#     - name: backend
#       hash: "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#       grants: [{ actions: ["*"], names: ["*"] }]
#   roles:
#     viewer: [{ actions: [subscribe, read], names: ["orders.*", "user.{sub}.*"] }]
#   anonymous: [{ actions: [subscribe], names: ["public.*"] }]

# Payloads at rest, 32 bytes in base64 each (openssl rand -base64 32): docs/security.md
# encryption: { current: k1, keys: { k1: env:REPRISE_KEY_1 } }

# tls: { cert: file:cert.pem, key: file:key.pem, ca: file:ca.pem }   # ca: clients need a certificate of it

# Who may read /metrics: docs/telemetry.md
# metrics: { open: false }   # or a port of their own: { port: 9464, host: 127.0.0.1 }

# limits:
#   payload: 256KiB
#   batch: 1000
#   packet: 2MiB
#   namespacesPerSocket: 10000
#   connectionsPerAddress: 20000
#   callsPerSecond: 20000
#   bytesPerSecond: 128MiB
#   publishesPerSecond: unlimited
#   connectTimeoutMs: 10s
#   handshakeBytes: 2MiB
#   longPolls: 10000
#   streams: 10000
#   replays: 20000
#   unfinishedBytes: 256MiB
#   schemaParts: 250
#   schedules: 1000

# By name pattern; * stands for any run of characters.
# topics:
#   "*": { retain: { events: 1000000, bytes: 1GiB, age: 7d } }
#   orders: { schema: { type: object, required: [amount] } }
# queues:
#   "*":
#     leaseMs: 30s
#     maxLeaseMs: 30m
#     maxAttempts: 10
#     backoffMs: 1s
#     maxBackoffMs: 5m
#     reconnectGraceMs: 5s
#     rate: unlimited
#     fair: false
#     groupRate: unlimited
#     breaker: off           # or { share: 0.5, min: 10 }
#     events: false
#     priority: 4
#     ttlMs: 7d
#     deadMs: 14d
#     keepDone: { count: 1000, ageMs: 1d }
#     maxJobs: 1000000
#     maxBytes: 1GiB
#     maxHoldBytes: 1GiB
#   emails: { from: [orders], schema: { type: object } }
`
