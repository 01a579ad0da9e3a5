import type { Command } from 'commander';
import type { ConfigFlags, EdgeConfig } from './config.ts';
import {
  forgetNetwork,
  getObject,
  listStorage,
  putObject,
  removeStored,
  storageNetwork,
  storagePrice,
  storageStatus,
  verifyObject,
} from './commands/storage.ts';

interface JsonFlag {
  readonly json?: boolean;
}
type Flags = ConfigFlags & JsonFlag;

export interface StorageCommandParts {
  /** Adds the flags that say which edge is meant. */
  readonly forEdge: (command: Command) => Command;
  readonly configOf: (flags: Flags) => EdgeConfig;
  readonly integer: (least: number, most: number) => (text: string) => number;
}

/** `antirio storage ...` */
export function addStorageCommands(program: Command, parts: StorageCommandParts): void {
  const { configOf, integer } = parts;
  const storage = program.command('storage').description('objects and images that this edge stores');
  const command = (use: string, description: string): Command =>
    parts.forEdge(storage.command(use).description(description)).option('--json', 'as JSON');
  command('put <file>', 'store a local file; goes on where an earlier upload of it broke off')
    .option('--image', 'it is the archive of an image, to be kept for some days')
    .option('--days <n>', 'how long an image is kept', integer(1, 36_500), 7)
    .action((file: string, { image = false, days, ...flags }: Flags & { image?: boolean; days: number }) =>
      putObject(configOf(flags), file, { image, days, json: flags.json === true }),
    );
  command('get <cid> <file>', 'write an object to a local file, from verified blocks').action(
    (cid: string, file: string, flags: Flags) => getObject(configOf(flags), cid, file, flags.json === true),
  );
  command('ls', 'all objects and images').action((flags: Flags) =>
    listStorage(configOf(flags), flags.json === true),
  );
  command('status <cid|imageId>', 'how far an object or an image is, while it is on its way').action(
    (id: string, flags: Flags) => storageStatus(configOf(flags), id, flags.json === true),
  );
  command('verify <cid>', 'read every block of an object').action((cid: string, flags: Flags) =>
    verifyObject(configOf(flags), cid, flags.json === true),
  );
  command('price', 'what storing would cost')
    .requiredOption('--bytes <n>', 'how much', integer(1, Number.MAX_SAFE_INTEGER))
    .requiredOption('--days <n>', 'how long', integer(1, 36_500))
    .action(({ bytes, days, ...flags }: Flags & { bytes: number; days: number }) =>
      storagePrice(configOf(flags), { bytes, days }, flags.json === true),
    );
  command('network', 'what objects are brought to besides, and what former networks still keep')
    .option('--forget <id>', 'leave what a former network keeps, and tell of it no more')
    .action(({ forget, ...flags }: Flags & { forget?: string }) =>
      forget === undefined
        ? storageNetwork(configOf(flags), flags.json === true)
        : forgetNetwork(configOf(flags), forget, flags.json === true),
    );
  command('rm <cid|imageId>', 'let go of an object or of an image').action((id: string, flags: Flags) =>
    removeStored(configOf(flags), id, flags.json === true),
  );
}
