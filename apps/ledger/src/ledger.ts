import { join } from 'node:path';
import { Gauge } from 'prom-client';
import { createHttpRim, type Health, type Service } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { addLedgerRoutes } from '@antirio/ledger-http';
import type { Genesis } from '@antirio/ledger-machine';
import { openLocalLedger, type LocalLedger } from '@antirio/ledger-local';
import { VERSION, type LedgerOptions, type LedgerPorts } from './options.ts';

/** The ledger's room. Its port is known once it is started. */
export interface LedgerRoom extends Service {
  readonly port: number;
}

/** A transaction of a large contract, and its frame. */
const MAX_BODY_BYTES = (1 << 20) + 4096;

function toGenesis({ genesis }: LedgerOptions, { identity }: LedgerPorts): Genesis {
  const arbitrator = genesis.arbitrator ?? identity?.edgeId;
  if (arbitrator === undefined)
    throw new AntirioError(
      'badConfig',
      'ledger.genesis.arbitrator: needed where the process has no identity',
    );
  return { ...genesis, arbitrator };
}

export function createLedger(options: LedgerOptions, ports: LedgerPorts): LedgerRoom {
  const log = ports.log.child({ room: 'ledger' });
  const genesis = toGenesis(options, ports);
  let ledger: LocalLedger | undefined;
  let port = 0;
  const opened = (): LocalLedger => {
    if (ledger === undefined) throw new AntirioError('unavailable', 'the ledger is not open');
    return ledger;
  };
  const health = async (): Promise<Health> => {
    if (ledger === undefined) return { ledger: { ok: false, detail: 'not open' } };
    const { ok, detail } = ledger.health();
    const { height } = await ledger.head();
    return {
      ledger: {
        ok,
        detail: detail ?? `local engine (an audit log, not a consensus), height ${String(height)}`,
      },
    };
  };
  const stopped = new AbortController();
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'ledger',
    version: VERSION,
    config: () => ({ ...options, genesis, engine: 'local' }),
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
      if (ledger !== undefined) this.set(Number((await ledger.head()).height));
    },
  });
  return {
    name: 'ledger',
    get port() {
      return port;
    },
    health,
    async start() {
      const path = join(options.dataDir, 'ledger', 'ledger.log');
      const { clock } = ports;
      ledger = await openLocalLedger({ path, genesis, clock, log, eventsKept: options.eventsKept });
      port = await rim.listen(options.port, options.bind);
    },
    async stop() {
      stopped.abort();
      await rim.close();
      await ledger?.close();
      ledger = undefined;
    },
  };
}
