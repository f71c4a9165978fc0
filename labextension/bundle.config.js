// Style sheets are shipped inside scripts, where no minifier of styles would find them.
module.exports = {
  module: {
    rules: [
      {
        test: /\.css$/,
        include: [`${__dirname}/style`],
        enforce: 'pre',
        loader: 'builtin:lightningcss-loader',
        options: { minify: true }
      }
    ]
  }
};
