/** As npm writes it down (`lockfileVersion` 3). */
export interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** Licences that go with Apache-2.0: they ask for a notice at most. */
const LICENCES = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'CC-BY-4.0',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
  'WTFPL',
]);

/** Packages that say it in a form that npm does not write down; each has the text of MIT. */
const SAID_OTHERWISE: Readonly<Record<string, string>> = {
  buildcheck: 'MIT',
  'cpu-features': 'MIT',
  httpntlm: 'MIT',
  ssh2: 'MIT',
  'stack-trace': 'MIT',
};

/** Whether an expression of SPDX allows the use: one side of each OR, and both of each AND. */
export function isAllowed(expression: string): boolean {
  const bare = expression.replaceAll(/[()]/g, '');
  return bare
    .split(/ OR /)
    .some((choice) => choice.split(/ AND /).every((licence) => LICENCES.has(licence.trim())));
}

const EXACT = /^\d+\.\d+\.\d+(?:-[\w.]+)?$/;
const nameOf = (path: string): string =>
  path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

function faultsOfPackage(
  path: string,
  one: LockedPackage,
  scripts: Readonly<Record<string, boolean>>,
): string[] {
  const name = nameOf(path);
  const licence = one.license ?? SAID_OTHERWISE[name];
  return [
    ...(/^sha512-[A-Za-z0-9+/]{86}==$/.test(one.integrity ?? '')
      ? []
      : [`${path} has no SHA-512 in the lock`]),
    ...(licence !== undefined && isAllowed(licence)
      ? []
      : [`${path} has the licence ${licence ?? '(none)'}, which is not on the list`]),
    ...(one.hasInstallScript === true && scripts[name] === undefined
      ? [`${path} wants to run a script when it is installed: say in allowScripts whether it may`]
      : []),
  ];
}

function faultsOfWorkspace(path: string, one: LockedPackage): string[] {
  const wanted = { ...one.dependencies, ...one.devDependencies, ...one.optionalDependencies };
  return Object.entries(wanted)
    .filter(([, range]) => !EXACT.test(range))
    .map(
      ([name, range]) => `${path === '' ? 'package.json' : path} asks for ${name} ${range}: pin one version`,
    );
}

/** What is wrong with what the lock would install, as far as the lock says it. */
export function faultsOf(lock: Lock, allowScripts: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(lock.packages).flatMap(([path, one]) => {
    if (one.link === true) return [];
    return path.includes('node_modules/')
      ? faultsOfPackage(path, one, allowScripts)
      : faultsOfWorkspace(path, one);
  });
}

/** What `npm audit --json` says: known vulnerabilities, or that nobody could be asked. */
export interface AuditAnswer {
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly severity: string; readonly isDirect?: boolean; readonly range?: string }>
  >;
}

const GRAVE = new Set(['high', 'critical']);

/** Undefined where the registry did not answer. */
export function advisoriesIn(answer: AuditAnswer): { grave: string[]; others: number } | undefined {
  if (answer.vulnerabilities === undefined) return undefined;
  const all = Object.entries(answer.vulnerabilities);
  const grave = all.filter(([, { severity }]) => GRAVE.has(severity));
  return {
    grave: grave.map(
      ([name, { severity, range = '' }]) => `${name} ${range}: a known vulnerability (${severity})`,
    ),
    others: all.length - grave.length,
  };
}
