import { join } from 'node:path';
import { Gauge } from 'prom-client';
import { createHttpRim, type Health, type Service } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { openApplication, type OpenApplication } from '@antirio/ledger-cometbft';
import { VERSION, type LedgerAppOptions, type LedgerPorts } from './options.ts';

/** The room of the ABCI application. Its ports are known once it is started. */
export interface LedgerAppRoom extends Service {
  readonly port: number;
  readonly abciPort: number;
}

const LOOPBACK = /^(127\.[\d.]+|::1|localhost)$/;

/** @throws AntirioError badConfig */
function refuseInsecure({ abciBind, abciInsecureBind }: LedgerAppOptions): void {
  if (abciInsecureBind || LOOPBACK.test(abciBind)) return;
  throw new AntirioError(
    'badConfig',
    `ledgerApp.abciBind: ${abciBind} is beyond this host, and whoever reaches it writes the ledger of this node: abciInsecureBind, if the network is yours`,
  );
}

/** The ledger's machine as an ABCI application: what a federation's CometBFT node runs its blocks on. */
export function createLedgerApp(options: LedgerAppOptions, ports: LedgerPorts): LedgerAppRoom {
  const log = ports.log.child({ room: 'ledger-app' });
  let application: OpenApplication | undefined;
  let port = 0;
  const health = (): Health => {
    if (application === undefined) return { application: { ok: false, detail: 'not open' } };
    const { ok, detail } = application.health();
    return { application: { ok, detail: detail ?? `at block ${application.head.height}` } };
  };
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'ledger-app',
    version: VERSION,
    config: () => options,
    health,
    log,
    clock: ports.clock,
  });
  new Gauge({
    name: 'antirio_ledger_app_height',
    help: 'blocks that the application has committed',
    registers: [rim.metrics],
    collect() {
      if (application !== undefined) this.set(application.head.height);
    },
  });
  return {
    name: 'ledger-app',
    get port() {
      return port;
    },
    get abciPort() {
      return application?.port ?? 0;
    },
    health,
    async start() {
      refuseInsecure(options);
      const { dataDir, abciBind: host, abciPort, eventsKept, snapshotEvery } = options;
      const folder = join(dataDir, 'ledger-app');
      application = await openApplication({
        folder,
        address: { host, port: abciPort },
        eventsKept,
        snapshotEvery,
        log,
      });
      port = await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await application?.close();
      application = undefined;
    },
  };
}
