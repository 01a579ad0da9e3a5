import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import { createFetchedImages, type FetchedImagePorts } from './fetched-images.ts';
import { migrationOptions } from './options.ts';
import { openRecords, type FetchRecord } from './records.ts';

test('a version that can be run is told of while a newer one is on its way or has failed', () => {
  const dir = mkdtempSync(join(tmpdir(), 'fetched-'));
  const records = openRecords(join(dir, 'migration.db'));
  try {
    const ports = { clock: systemClock, random: systemRandom, log: silentLog, records };
    const images = createFetchedImages(
      migrationOptions.parse({ dataDir: dir }),
      ports as unknown as FetchedImagePorts,
    );
    const put = (contractId: string, state: FetchRecord['state']): void =>
      records.fetched.put(contractId, {
        contractId,
        customer: 'customer',
        imageCid: 'image',
        configCid: 'config',
        imageName: 'lora',
        providers: [],
        state,
        createdAt: 1,
      });
    put('C-v0000000002', 'FETCHING');
    expect(images.view('C').contractId).toBe('C-v0000000002');
    put('C-v0000000002', 'DOWNLOADED');
    put('C-v0000000003', 'FETCHING');
    expect(images.view('C').contractId).toBe('C-v0000000002');
    put('C-v0000000003', 'FAILED');
    expect(images.view('C')).toMatchObject({ contractId: 'C-v0000000002', state: 'DOWNLOADED' });
  } finally {
    records.close();
    rmSync(dir, { recursive: true, force: true });
  }
});
