// The application as a process of its own, for tests that kill it: its folder and its socket are the arguments.
import { createLog } from '@antirio/host';
import { openApplication } from './index.ts';

const [folder = '', path = ''] = process.argv.slice(2);
const log = createLog('ledger-app');
await openApplication({ folder, address: { path }, eventsKept: 1000, snapshotEvery: 50, log });
