import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHttpRim, httpPeer, silentLog, systemClock, systemRandom } from '@antirio/host';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { openLocalLedger } from '@antirio/ledger-local';
import { complianceGenesis, ledgerCompliance } from '@antirio/ledger-local/compliance';
import { addLedgerRoutes, createLedgerClient } from './index.ts';

ledgerCompliance('a ledger behind HTTP', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-http-'));
  const options = { path: join(folder, 'ledger.log'), genesis: complianceGenesis, clock: systemClock };
  const local = await openLocalLedger({ ...options, log: silentLog });
  const common = { version: '0', config: () => ({}), health: () => ({}), log: silentLog, clock: systemClock };
  const rim = createHttpRim({ serviceKey: 'ledger', ...common });
  const stopped = new AbortController();
  addLedgerRoutes(rim, () => local, { followers: 8, stopped: stopped.signal });
  const peer = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  const identity = openIdentity(generateIdentity());
  const ledger = createLedgerClient({ peer, prefix: '', identity, random: systemRandom, log: silentLog });
  const close = async (): Promise<void> => {
    stopped.abort();
    peer.close();
    await rim.close();
    await local.close();
    rmSync(folder, { recursive: true });
  };
  return { ledger, close };
});
