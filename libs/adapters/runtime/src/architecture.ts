import { existsSync } from 'node:fs';
import { AntirioError } from '@antirio/kernel';

/** Go's names of architectures, which images carry, by Node's. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
/** What a processor runs besides its own. */
const ALSO: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' };
/** QEMU's names, under which Linux knows what emulates a processor. */
const QEMU: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64', '386': 'i386' };

const isEmulated = (architecture: string): boolean =>
  existsSync(`/proc/sys/fs/binfmt_misc/qemu-${QEMU[architecture] ?? architecture}`);

/**
 * An image of another processor would be started again and again, and say nothing but `exec format error` in its own output.
 * @param ownArch as `process.arch`
 * @throws AntirioError invalidInput saying what to do
 */
export function checkArchitecture(
  architecture: string | undefined,
  ownArch: string,
  emulated: (architecture: string) => boolean = isEmulated,
): void {
  const own = GO_ARCH[ownArch] ?? ownArch;
  if (architecture === undefined || architecture === own || architecture === ALSO[own]) return;
  if (emulated(architecture)) return;
  throw new AntirioError(
    'invalidInput',
    `the image is for ${architecture}, and this machine is ${own}: its customer has to store one that is built for ${own}, or this machine has to emulate ${architecture} (apt install qemu-user-static)`,
    { architecture, own },
  );
}
