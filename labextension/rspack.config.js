// What keeps the shipped bundle small.
module.exports = {
  module: {
    rules: [
      {
        // Style sheets travel inside scripts, where the minifier of scripts leaves them as they are.
        test: /\.css$/,
        include: [`${__dirname}/style`],
        enforce: 'pre',
        loader: 'builtin:lightningcss-loader',
        options: { minify: true }
      },
      {
        test: /\.js$/,
        include: [`${__dirname}/lib`],
        loader: `${__dirname}/rspack.elements.js`
      }
    ]
  }
};
