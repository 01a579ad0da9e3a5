import { join } from 'node:path';
import { z } from 'zod';
import {
  createHttpRim,
  parseInput,
  repeat,
  type Health,
  type Repeating,
  type Service,
  type Subscription,
} from '@antirio/host';
import { describeError, fromUtf8, parseEdgeId } from '@antirio/kernel';
import { datagramSchemas, type Datagram, type DatagramKind } from '@antirio/service-contract';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import { openContractStore } from './contract-store.ts';
import { createContracts } from './contracts.ts';
import { createCounterGrants } from './counter-grants.ts';
import { addEdgeRoutes } from './edge-routes.ts';

const datagramIn = z.object({ from: z.string(), body: z.unknown() });
const SIGN_EVERY_MS = 500;

function isDatagramKind(kind: string): kind is DatagramKind {
  return kind in datagramSchemas;
}

/** The edge's black box: signs contracts, runs both parties' machines, keeps the evidence. */
export function createEdgeArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  const { identity, log, bus, clock } = ports;
  const store = openContractStore(join(options.dataDir, 'arbitrator', 'contracts.db'));
  const contracts = createContracts(options, ports, store);
  const { drivers } = contracts;
  const subscriptions: Subscription[] = [];
  const counts = { datagrams: 0, bad: 0 };
  let signer: Repeating | undefined;

  const onDatagram = (topic: string, payload: Uint8Array): void => {
    counts.datagrams++;
    const kind = topic.split('/').at(-1) ?? '';
    if (!isDatagramKind(kind)) return;
    try {
      const message = parseInput(datagramIn, JSON.parse(fromUtf8(payload)));
      // the schema found by the kind gives the body of that kind
      const datagram = { kind, body: parseInput(datagramSchemas[kind], message.body) } as Datagram;
      const from = parseEdgeId(message.from);
      for (const driver of drivers.values()) driver.post({ type: 'datagram', from, datagram });
    } catch (error) {
      counts.bad++;
      log.debug({ kind, error: describeError(error) }, 'datagram not understood');
    }
  };
  const health = (): Health => ({
    store: { ok: store.writable() },
    bus: bus.health(),
    contracts: {
      ok: true,
      detail: `${contracts.live()} under way; ${counts.bad} of ${counts.datagrams} datagrams not understood`,
    },
  });
  const rim = createHttpRim({
    serviceKey: 'arbitrator',
    version: VERSION,
    clock,
    log,
    config: () => ({
      ...options,
      protectedService: options.protectedService?.configFile,
      edgeId: identity.edgeId,
    }),
    health,
  });
  addEdgeRoutes(rim, contracts, store, identity.edgeId, () => signer?.poke());

  return {
    name: 'arbitrator',
    health,
    async start() {
      const onCounterRequest = createCounterGrants(bus, store, drivers);
      subscriptions.push(await bus.subscribe('antirio/datagram/in/#', onDatagram));
      subscriptions.push(await bus.subscribe('antirio/fcntdown/request', onCounterRequest));
      subscriptions.push(await bus.subscribe('contract/+/antirio/fcntdown/request', onCounterRequest));
      for (const contract of store.all()) contracts.drive(contract);
      signer = repeat('sign', SIGN_EVERY_MS, log, () => contracts.signPending());
      await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await signer?.stop();
      for (const subscription of subscriptions.splice(0)) await subscription.close();
      await contracts.stop();
      store.close();
    },
  };
}
