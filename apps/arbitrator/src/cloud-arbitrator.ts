import { join } from 'node:path';
import { createHttpRim, repeat, type Health, type Repeating, type Service } from '@antirio/host';
import { addDrillEscrowRoutes, createDrillEscrow } from './drill-escrow.ts';
import { DESTROY_EVERY_MS, addEscrowRoutes, createEscrowHolder } from './escrow-holder.ts';
import { openCustomerBook } from './customer-book.ts';
import { createCustomerFollow } from './customer-follow.ts';
import { openEscrowStore } from './escrow-store.ts';
import { ledgerClient } from './ledger-client.ts';
import { keptIn } from './ledger-watch.ts';
import { VERSION, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { peerNamed } from './peers.ts';
import { addSpeakerRoutes } from './speaker-desk.ts';

/**
 * A customer's arbitrator away from its edges: keeps shares of keys, and gives them against openings on the ledger; knows how its edges'
 * contracts stand, and speaks for an edge that is silent, as far as that has it on the ledger.
 */
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
  const book = openCustomerBook(join(options.dataDir, 'arbitrator', 'customers.db'), maxContracts);
  const submit = createPatientSubmit(ledger, { clock, random });
  const { speaksFor: customers } = options;
  const follow = createCustomerFollow({ identity, clock, log, peers, ledger, submit, book, customers });
  let destroying: Repeating | undefined;
  let following: Repeating | undefined;
  const health = (): Health => ({
    ledger: ledger.watch.health(),
    shares: { ok: true, detail: `of ${escrow.held()} contracts, at most ${maxContracts}` },
    customers: {
      ok: follow.left() === 0,
      detail: `${book.all().length} contracts of ${customers.length} edges, at most ${maxContracts}; no room for ${follow.left()}`,
    },
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
  addSpeakerRoutes(rim, { clock, book, follow, customers });
  addDrillEscrowRoutes(rim, createDrillEscrow({ identity, ledger, store, log }));
  return {
    name: 'arbitrator',
    health,
    async start() {
      destroying = repeat('escrow', DESTROY_EVERY_MS, log, () => escrow.sweep());
      ledger.watch.start();
      following = repeat('customers', options.followS * 1000, log, () => follow.look());
      await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await destroying?.stop();
      await following?.stop();
      await ledger.watch.stop();
      store.close();
      book.close();
    },
  };
}
