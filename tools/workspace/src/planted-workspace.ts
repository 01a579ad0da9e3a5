import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { workspaceRoot } from './root.ts';

const SETTINGS = [
  'eslint.config.mjs',
  'nx.json',
  'package.json',
  'package-lock.json',
  'tsconfig.base.json',
  'tsconfig.json',
];
const NOT_LINKED = new Set(['.cache', '.package-lock.json', '@antirio']);

/** A folder of the planted workspace that is a package: `@antirio/<last part of the folder>`. */
export interface PlantedPackage {
  readonly folder: string;
  readonly tags: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** A rule that a file broke, and what ESLint says of it. */
export interface Finding {
  readonly rule: string;
  readonly message: string;
}

interface EslintResult {
  readonly filePath: string;
  readonly messages: readonly { readonly ruleId: string | null; readonly message: string }[];
}

/** A workspace outside this one, under this one's own settings and dependencies, to be planted with violations. */
export class PlantedWorkspace {
  readonly #root = realpathSync(mkdtempSync(join(tmpdir(), 'antirio-planted-')));

  constructor(packages: readonly PlantedPackage[]) {
    for (const file of SETTINGS) cpSync(join(workspaceRoot, file), join(this.#root, file));
    this.#linkDependencies();
    for (const planted of packages) this.#addPackage(planted);
  }

  write(path: string, text: string): void {
    const absolute = join(this.#root, path);
    mkdirSync(dirname(absolute), { recursive: true });
    writeFileSync(absolute, text);
  }

  /** Runs the real ESLint on everything; findings by the path of the file. */
  async lint(): Promise<ReadonlyMap<string, readonly Finding[]>> {
    const results = JSON.parse(await this.#eslint()) as readonly EslintResult[];
    return new Map(
      results.map(({ filePath, messages }) => [
        relative(this.#root, filePath),
        messages.map(({ ruleId, message }) => ({ rule: ruleId ?? 'parser', message })),
      ]),
    );
  }

  remove(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  #linkDependencies(): void {
    const installed = join(workspaceRoot, 'node_modules');
    const own = join(this.#root, 'node_modules');
    mkdirSync(join(own, '@antirio'), { recursive: true });
    for (const name of readdirSync(installed)) {
      if (!NOT_LINKED.has(name)) symlinkSync(join(installed, name), join(own, name));
    }
  }

  #addPackage({ folder, tags, dependencies = {} }: PlantedPackage): void {
    const short = folder.split('/').at(-1) ?? folder;
    const manifest = {
      name: `@antirio/${short}`,
      version: '0.1.0',
      private: true,
      type: 'module',
      exports: { '.': './src/index.ts' },
      nx: { tags },
      dependencies,
    };
    this.write(`${folder}/package.json`, JSON.stringify(manifest));
    this.write(`${folder}/src/index.ts`, `export const ${short.replaceAll('-', '_')} = 1;\n`);
    symlinkSync(join(this.#root, folder), join(this.#root, 'node_modules/@antirio', short));
  }

  #eslint(): Promise<string> {
    const binary = join(workspaceRoot, 'node_modules/eslint/bin/eslint.js');
    return new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [binary, '--format', 'json', '.'],
        {
          cwd: this.#root,
          maxBuffer: 64 * 1024 * 1024,
          env: { ...process.env, NODE_OPTIONS: '' },
        },
        // Findings make the exit code 1; anything else than findings leaves no JSON.
        (error, stdout, stderr) => {
          if (stdout.startsWith('[')) resolve(stdout);
          else reject(new Error(`eslint did not run: ${stderr}${stdout}`, { cause: error }));
        },
      );
    });
  }
}
