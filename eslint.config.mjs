// The rules of the house that a machine can check. tools/workspace/src/lint-rules.int.test.ts plants one
// violation of each kind and proves that they bite.
import { builtinModules } from 'node:module';
import js from '@eslint/js';
import { createProjectGraphAsync } from '@nx/devkit';
import nx from '@nx/eslint-plugin';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// enforce-module-boundaries reads the project graph from disk, and silently skips itself where there is none.
await createProjectGraphAsync();

const PRODUCT = ['apps/**/*.ts', 'libs/**/*.ts'];
const DOMAIN = ['libs/domain/**/*.ts'];
const KERNEL = ['libs/kernel/**/*.ts'];
const TESTS = ['**/*.test.ts', '**/*-compliance.ts', 'e2e/**/*.ts'];

const depends = (sourceTag, ...tags) => ({ sourceTag, onlyDependOnLibsWithTags: tags });

const depConstraints = [
  depends('type:kernel', 'type:kernel'),
  depends('type:domain', 'type:kernel', 'type:domain'),
  depends('type:host', 'type:kernel', 'type:domain', 'type:host'),
  depends('type:adapter', 'type:kernel', 'type:domain', 'type:host', 'type:adapter'),
  depends('type:app', 'type:kernel', 'type:domain', 'type:host', 'type:adapter'),
  depends('type:edge', 'type:kernel', 'type:domain', 'type:host', 'type:adapter', 'type:app'),
  depends('type:tool', '*'),
];

const builtins = builtinModules.filter((name) => /^[a-z]/.test(name) && !name.includes(':')).join('|');

const builtinsExcept = (...allowed) => ({
  regex: `^(?!(?:${allowed.map((name) => `node:${name}`).join('|') || '$'})$)(?:node:|(?:${builtins})(?:/|$))`,
  message: 'This library is pure: take what you need as a value or a port.',
});

const loraPacket = {
  name: 'lora-packet',
  message: 'The simulator makes its frames with it; the product shares no code with the simulator.',
};

const restricted = (message, ...names) => names.map((name) => ({ name, message }));

const impureGlobals = [
  ...restricted('Take the time from the injected Clock.', 'Date', 'performance'),
  ...restricted(
    'Timers belong to the rim: return a deadline as an effect.',
    'setTimeout',
    'setInterval',
    'setImmediate',
    'clearTimeout',
    'clearInterval',
    'clearImmediate',
    'queueMicrotask',
  ),
  ...restricted(
    'No input or output in pure code: return an effect or take a port.',
    'fetch',
    'WebSocket',
    'EventSource',
    'process',
    'console',
    'require',
  ),
  ...restricted('Take randomness from the injected Random.', 'crypto'),
  ...restricted('Pure code reaches for no globals.', 'globalThis', 'global'),
];

const bareError = {
  selector:
    ':matches(ThrowStatement, CallExpression[callee.property.name="reject"]) > NewExpression[callee.name=/^(Error|TypeError|RangeError)$/]',
  message: 'Use an AntirioError: it has a code, details and a cause.',
};

const pure = (files, ...allowedBuiltins) => ({
  files,
  ignores: TESTS,
  rules: {
    'no-restricted-imports': [
      'error',
      { paths: [loraPacket], patterns: [builtinsExcept(...allowedBuiltins)] },
    ],
    'no-restricted-globals': ['error', ...impureGlobals],
    'no-restricted-properties': [
      'error',
      { object: 'Math', property: 'random', message: 'Take randomness from the injected Random.' },
    ],
    'no-restricted-syntax': [
      'error',
      bareError,
      {
        selector: 'ImportExpression',
        message: 'Pure code has static imports only: a built-in could hide here.',
      },
    ],
  },
});

const onlyOrSkip = ['test', 'it', 'describe'].flatMap((object) => [
  { object, property: 'only', message: 'It would silence all other tests.' },
  {
    object,
    property: 'skip',
    message: 'Use testWhen(condition, reason) of @antirio/testing: a skip has a reason.',
  },
]);

/** Our own rules. */
const house = {
  rules: {
    'disable-needs-reason': {
      meta: {
        type: 'problem',
        schema: [],
        messages: { reason: 'Say why: `eslint-disable-... rule -- reason`.' },
      },
      create: (context) => ({
        Program() {
          for (const comment of context.sourceCode.getAllComments()) {
            const text = comment.value.trim();
            if (text.startsWith('eslint-disable') && !/\s--\s+\S/.test(text)) {
              context.report({ loc: comment.loc, messageId: 'reason' });
            }
          }
        },
      }),
    },
  },
};

export default defineConfig(
  { ignores: ['**/node_modules/', '**/dist/', '.nx/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { '@nx': nx, house },
    rules: {
      complexity: ['error', 10],
      eqeqeq: 'error',
      'house/disable-needs-reason': 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      // Rooms are factories whose closures share one state; their parts are held to `complexity` instead.
      'max-lines-per-function': ['error', { max: 260, skipBlankLines: true, skipComments: true }],
      '@nx/enforce-module-boundaries': [
        'error',
        { allow: [], banTransitiveDependencies: true, depConstraints },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // A port may be asynchronous where one of its adapters has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: PRODUCT,
    ignores: TESTS,
    rules: {
      'no-restricted-imports': ['error', { paths: [loraPacket] }],
      'no-restricted-syntax': ['error', bareError],
    },
  },
  pure(DOMAIN),
  pure(KERNEL, 'crypto'),
  {
    files: ['tools/*simulator*/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@antirio/(?!kernel$|host$|testing$)',
              message: 'The simulator is an independent witness: it shares no code with the product.',
            },
          ],
        },
      ],
    },
  },
  {
    files: TESTS,
    rules: {
      'max-lines': 'off',
      'max-lines-per-function': 'off',
      'no-restricted-properties': ['error', ...onlyOrSkip],
      '@nx/enforce-module-boundaries': [
        'error',
        {
          allow: ['@antirio/testing', '@antirio/edgex-contract'],
          banTransitiveDependencies: true,
          depConstraints,
        },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
