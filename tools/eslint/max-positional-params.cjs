'use strict';

const POSITIONAL_MAX = 3;

/** A parameter that a framework fills by its decorator has no position that a caller could mistake. */
function isDecorated(parameter) {
  return (parameter.decorators ?? []).length > 0;
}

function nameOf(parameter) {
  switch (parameter.type) {
    case 'AssignmentPattern':
      return nameOf(parameter.left);
    case 'TSParameterProperty':
      return nameOf(parameter.parameter);
    case 'Identifier':
      return parameter.name;
    default:
      return undefined;
  }
}

/** At most three positional parameters; a fourth may follow when it is the options object. */
module.exports = {
  meta: {
    type: 'suggestion',
    schema: [],
    messages: { tooMany: '{{count}} positional parameters: after three, take an options object.' },
  },
  create(context) {
    function check(node) {
      const parameters = node.params.filter((parameter) => nameOf(parameter) !== 'this' && !isDecorated(parameter));
      const last = parameters.at(-1);
      const endsInOptions = last !== undefined && /options$/i.test(nameOf(last) ?? '');
      const count = parameters.length - (endsInOptions ? 1 : 0);
      if (count > POSITIONAL_MAX) context.report({ node, messageId: 'tooMany', data: { count: String(count) } });
    }
    return {
      FunctionDeclaration: check,
      FunctionExpression: check,
      ArrowFunctionExpression: check,
      TSEmptyBodyFunctionExpression: check,
      TSMethodSignature: check,
      TSFunctionType: check,
    };
  },
};
