import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog, systemClock } from '@antirio/host';
import { complianceGenesis, ledgerCompliance } from './ledger-compliance.ts';
import { openLocalLedger } from './local-ledger.ts';

ledgerCompliance('the local engine', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-local-'));
  const options = { path: join(folder, 'ledger.log'), genesis: complianceGenesis, clock: systemClock };
  const ledger = await openLocalLedger({ ...options, log: silentLog });
  const close = async (): Promise<void> => {
    await ledger.close();
    rmSync(folder, { recursive: true });
  };
  return { ledger, close };
});
