const jestJupyterLab = require('@jupyterlab/testing/lib/jest-config');

const base = jestJupyterLab(__dirname);

// The parts of JupyterLab that the tests touch: its whole packages take a minute to load.
const parts = {
  '^@jupyterlab/codemirror$': '<rootDir>/src/__tests__/codemirror.ts',
  '^@jupyterlab/rendermime$': '<rootDir>/src/__tests__/rendermime.ts',
  '^@jupyterlab/services$': '@jupyterlab/services/lib/serverconnection',
  '^@jupyterlab/ui-components$': '@jupyterlab/ui-components/lib/icon'
};

const toTransform = '@jupyter|@jupyterlab|@lumino|@microsoft|exenv-es6|nanoid';

module.exports = {
  ...base,
  moduleNameMapper: { ...base.moduleNameMapper, ...parts },
  reporters: ['default'],
  setupFiles: [...base.setupFiles, '<rootDir>/jest.setup.js'],
  testRegex: '/__tests__/.*\\.spec\\.tsx?$',
  transform: {
    ...base.transform,
    // Types are checked by tsc, once for all.
    '^.+\\.tsx?$': [
      'ts-jest/legacy',
      { tsconfig: 'tsconfig.test.json', diagnostics: false }
    ]
  },
  transformIgnorePatterns: [`/node_modules/(?!(?:${toTransform})[^/]*/)`]
};
