import { posix } from 'node:path';

/** A package as package-lock.json has it, under its path in the workspace. */
export interface LockedPackage {
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  /** `<algorithm>-<base64>`, as in Subresource Integrity. */
  readonly integrity?: string;
}

export interface PackageLock {
  readonly name: string;
  readonly version: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** A bundle holds what the lock does not know: nobody could say what it is made of. */
export class UnlockedPackageError extends Error {}

const MODULES = 'node_modules/';

/** Where the package of a bundled file is, from the workspace's root; undefined for the workspace's own files. */
function packagePathOf(input: string): string | undefined {
  const at = input.lastIndexOf(MODULES);
  if (at < 0) return undefined;
  const [first = '', second = ''] = input.slice(at + MODULES.length).split('/');
  return input.slice(0, at) + MODULES + (first.startsWith('@') ? posix.join(first, second) : first);
}

function hashesOf(integrity: string | undefined): object {
  const [, algorithm, base64 = ''] = /^sha(256|384|512)-(.+)$/.exec(integrity ?? '') ?? [];
  if (algorithm === undefined) return {};
  return { hashes: [{ alg: `SHA-${algorithm}`, content: Buffer.from(base64, 'base64').toString('hex') }] };
}

function licencesOf(license: string | undefined): object {
  if (license === undefined) return {};
  const isExpression = /\s(?:AND|OR|WITH)\s/.test(license);
  return { licenses: [isExpression ? { expression: license } : { license: { id: license } }] };
}

function componentOf(path: string, found: LockedPackage | undefined): object & { purl: string } {
  const name = found?.name ?? path.slice(path.lastIndexOf(MODULES) + MODULES.length);
  if (found?.version === undefined)
    throw new UnlockedPackageError(`${path} is in the bundle and not in package-lock.json`);
  const purl = `pkg:npm/${name.replace('@', '%40')}@${found.version}`;
  return {
    ...{ type: 'library', 'bom-ref': purl, name, version: found.version, purl },
    ...hashesOf(found.integrity),
    ...licencesOf(found.license),
  };
}

/**
 * What a bundle is made of, as CycloneDX 1.6 (ECMA-424) in JSON: each package of which a file is in it, as the lock has it, with
 * version, licence and hash of its archive. The same inputs make the same text: it has no time and no serial number.
 */
export function billOfMaterials(inputs: readonly string[], lock: PackageLock): string {
  const paths = new Set(inputs.map(packagePathOf).filter((path) => path !== undefined));
  const components = new Map<string, object>();
  for (const path of paths) {
    const component = componentOf(path, lock.packages[path]);
    components.set(component.purl, component);
  }
  const sorted = [...components].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, component]) => component);
  const own = { type: 'application', name: lock.name, version: lock.version };
  const document = {
    ...{ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 },
    ...{ metadata: { component: own }, components: sorted },
  };
  return `${JSON.stringify(document, undefined, 1)}\n`;
}
