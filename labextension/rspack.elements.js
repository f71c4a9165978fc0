// React is JupyterLab's own, so no bundler shortens "React.createElement": here it gets a name that
// can be, once in each module. The name is used when something is rendered, never before.
const CALL = /\bReact\.createElement\(/g;

module.exports = source =>
  source.includes('React.createElement(')
    ? `${source.replace(CALL, 'createReactElement(')}\nconst createReactElement = React.createElement;\n`
    : source;
