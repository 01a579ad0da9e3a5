import { join } from 'node:path';
import { createHttpRim, repeat, type Health, type Repeating, type Service } from '@antirio/host';
import { addDrillEscrowRoutes, createDrillEscrow } from './drill-escrow.ts';
import { DESTROY_EVERY_MS, addEscrowRoutes, createEscrowHolder } from './escrow-holder.ts';
import { openEscrowStore } from './escrow-store.ts';
import { ledgerClient } from './ledger-client.ts';
import { keptIn } from './ledger-watch.ts';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import { peerNamed } from './peers.ts';

/** A customer's arbitrator away from its edges: keeps shares of keys, and gives them against openings on the ledger. */
export function createCloudArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  const { identity, log, clock, random, peers } = ports;
  const store = openEscrowStore(join(options.dataDir, 'arbitrator', 'escrow.db'));
  const prefix = '/edge2edge/peer/central/ledger';
  const ledger = ledgerClient(
    { peer: peerNamed(peers, 'edge2edge'), prefix, identity, random, log },
    keptIn(join(options.dataDir, 'arbitrator', 'ledger-seen.json')),
    clock,
  );
  const { maxContracts } = options.escrow;
  const escrow = createEscrowHolder({ identity, ledger, store, log, maxContracts });
  let destroying: Repeating | undefined;
  const health = (): Health => ({
    ledger: ledger.watch.health(),
    shares: { ok: true, detail: `of ${escrow.held()} contracts, at most ${maxContracts}` },
  });
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'arbitrator',
    version: VERSION,
    clock,
    log,
    config: () => ({ ...options, edgeId: identity.edgeId }),
    health,
  });
  addEscrowRoutes(rim, escrow);
  addDrillEscrowRoutes(rim, createDrillEscrow({ identity, ledger, store, log }));
  return {
    name: 'arbitrator',
    health,
    async start() {
      destroying = repeat('escrow', DESTROY_EVERY_MS, log, () => escrow.sweep());
      ledger.watch.start();
      await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await destroying?.stop();
      await ledger.watch.stop();
      store.close();
    },
  };
}
