'use strict';

/**
 * How TypeScript becomes JavaScript, for the build and for jest alike. Decorator metadata is not
 * optional: without it Nest injects nothing and validation is silently off.
 */
exports.swcOptions = {
  swcrc: false,
  jsc: {
    target: 'es2023',
    keepClassNames: true,
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
  },
  module: { type: 'commonjs' },
};
