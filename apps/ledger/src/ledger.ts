import { Gauge } from 'prom-client';
import { createHttpRim, type Health, type Service } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { addLedgerRoutes, type ServedLedger } from '@antirio/ledger-http';
import { openEngine, type Engine } from './engines.ts';
import { VERSION, type LedgerOptions, type LedgerPorts } from './options.ts';

/** The ledger's room. Its port is known once it is started. */
export interface LedgerRoom extends Service {
  readonly port: number;
}

/** A transaction of a large contract, and its frame. */
const MAX_BODY_BYTES = (1 << 20) + 4096;

export function createLedger(options: LedgerOptions, ports: LedgerPorts): LedgerRoom {
  const log = ports.log.child({ room: 'ledger' });
  let engine: Engine | undefined;
  let port = 0;
  const opened = (): ServedLedger => {
    if (engine === undefined) throw new AntirioError('unavailable', 'the ledger is not open');
    return engine.ledger;
  };
  const health = async (): Promise<Health> => ({
    ledger: (await engine?.health()) ?? { ok: false, detail: 'not open' },
  });
  const stopped = new AbortController();
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'ledger',
    version: VERSION,
    config: () => options,
    health,
    log,
    clock: ports.clock,
    maxBodyBytes: MAX_BODY_BYTES,
  });
  addLedgerRoutes(rim, opened, { followers: options.followers, stopped: stopped.signal });
  new Gauge({
    name: 'antirio_ledger_height',
    help: 'blocks in the ledger',
    registers: [rim.metrics],
    async collect() {
      const head = await engine?.ledger.head().catch(() => undefined);
      if (head !== undefined) this.set(Number(head.height));
    },
  });
  return {
    name: 'ledger',
    get port() {
      return port;
    },
    health,
    async start() {
      engine = await openEngine(options, ports, log);
      port = await rim.listen(options.port, options.bind);
    },
    async stop() {
      stopped.abort();
      await rim.close();
      await engine?.close();
      engine = undefined;
    },
  };
}
