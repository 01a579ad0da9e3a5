import { existsSync, globSync, writeFileSync } from 'node:fs';
import { DemoError } from './errors.ts';
import type { DemoOptions, FailureKind } from './options.ts';
import type { ProcessSpec } from './processes.ts';
import type { Product } from './product.ts';

interface Owner {
  readonly product: Product;
  /** The edge as one process. */
  readonly whole: ProcessSpec;
  readonly folder: string;
  readonly offset: number;
}

/** All that edge A is. */
const ROOMS = [
  ...['broker', 'core-data', 'core-metadata', 'core-command', 'core-keeper', 'gateway-bridge', 'device-lora'],
  ...['orchestrator', 'migration', 'filecoin-interface', 'dmu', 'arbitrator', 'marketplace', 'edge2edge'],
];

/** The room that is a process of its own, so that it can fail alone. */
const APART: Readonly<Partial<Record<FailureKind, string>>> = {
  broker: 'broker',
  'dead-bridge': 'gateway-bridge',
};

/** By what its wall clock is off, in faketime's words; read again every second. */
export const clockFile = (folder: string): string => `${folder}.clock`;

const fakeClock = (): string | undefined => globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')[0];

function underFaketime({ whole, folder }: Owner): ProcessSpec {
  const library = fakeClock();
  if (library === undefined)
    throw new DemoError('unavailable', "the failure `clock` needs Debian's package faketime");
  writeFileSync(clockFile(folder), '+0');
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: clockFile(folder),
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  return { ...whole, env };
}

const maySmallDisk = (): boolean => process.getuid?.() === 0 && existsSync('/usr/bin/unshare');

/** Room on the small disk besides what is there at the start, and two more copies of it: the image is in there. */
const SPARE_KB = 48 * 1024;

/** Its data folder is a small file system of its own, in a mount namespace that is gone with the process. */
function onSmallDisk({ whole, folder }: Owner): ProcessSpec {
  if (!maySmallDisk())
    throw new DemoError('unavailable', 'the failure `disk-full` needs root, for a small file system');
  const mount = [
    'set -e; folder=$1; shift',
    `size=$(( $(du -sk "$folder" | cut -f 1) * 3 + ${SPARE_KB} ))`,
    'rm -rf "$folder.origin"; cp -a "$folder" "$folder.origin"',
    'mount -t tmpfs -o size=${size}k tmpfs "$folder"; cp -a "$folder.origin/." "$folder"; exec "$@"',
  ].join('\n');
  return { ...whole, under: ['unshare', '--mount', 'sh', '-c', mount, 'sh', folder] };
}

/** What this machine lacks for a failure to be brought about; undefined where it can be. */
export function lacksFor(kind: FailureKind): string | undefined {
  if (kind === 'clock' && fakeClock() === undefined) return "Debian's package faketime is not here";
  if (kind === 'disk-full' && !maySmallDisk()) return 'a small file system takes root';
  return undefined;
}

/** How edge A's process is started, so that what the demo is about can happen to it. */
export function ownerSpec({ kill }: DemoOptions, owner: Owner): ProcessSpec {
  const apart = APART[kill];
  if (apart !== undefined) {
    const others = ROOMS.filter((room) => room !== apart);
    return owner.product.serve(owner.whole.name, others, owner.folder, owner.offset);
  }
  switch (kill) {
    case 'clock':
      return underFaketime(owner);
    case 'disk-full':
      return onSmallDisk(owner);
    default:
      return owner.whole;
  }
}

/** A room of edge A in a process of its own; undefined where all of them are one. */
export function roomSpec({ kill }: DemoOptions, { product, folder, offset }: Owner): ProcessSpec | undefined {
  const apart = APART[kill];
  return apart === undefined ? undefined : product.serve(`edge-a-${apart}`, [apart], folder, offset);
}
