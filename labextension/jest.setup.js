// What browsers have and jsdom does not.
const streams = require('stream/web');
const util = require('util');

Object.assign(globalThis, {
  ReadableStream: streams.ReadableStream,
  TextDecoder: util.TextDecoder,
  TextEncoder: util.TextEncoder,
  ResizeObserver: class {
    observe() {}
    unobserve() {}
    disconnect() {}
  }
});
