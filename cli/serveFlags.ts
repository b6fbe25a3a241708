/** The flags of `serve`, which `config show` takes as well. Their meaning and checks are the hub's: server/options/hub.ts. */

import { type Command, Option } from 'commander'

export function addServeFlags(command: Command): Command {
  return (
    command
      .option('-p, --port <number>', 'port; 0 takes a free one (default: 3000)')
      .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
      .option('--open', 'allow a host that other machines can reach, although the hub has no authentication')
      .option('--data <folder>', 'folder of the embedded store (default: ./data)')
      .option('--store <place>', 'the same, or the URL of a store, such as redis://127.0.0.1:6379')
      .option('-c, --config <file>', 'YAML file with options and settings')
      .option('--path <path>', 'path of Socket.IO (default: /socket.io)')
      .option('--allow-origins <list>', 'origins of web pages that may connect, separated by commas, or *')
      .option('--trust-proxy <list>', 'addresses and networks of proxies whose X-Forwarded-For names the client')
      // Before the next one, or what the environment and the file say would never count: commander would take the absence of
      // both for a yes.
      .addOption(new Option('--console', 'have it, as by default').hideHelp())
      .option('--no-console', 'leave out the console, the page at / that shows the hub, and the demo')
      .option('--reserve-bytes <size>', 'disk space to keep free, such as 500MB')
      .option('--drain-ms <time>', 'how long a stop waits for work in progress, such as 10s (default: 10s)')
      .option('--keep-alive-ms <time>', 'how long to keep an idle HTTP connection (default: 75s)')
      .option('--tls-cert <file>', 'serve HTTPS with this certificate in PEM, or env:NAME')
      .option('--tls-key <file>', 'its key')
      .option('--tls-ca <file>', 'admit only clients with a certificate of this authority')
      .option('--log-level <level>', 'silent, fatal, error, warn, info, debug or trace (default: info)')
  )
}
