module MCollective
  module Data
    class Fsize_data < Base
      activate_when { true }

      query do |path|
        result[:present] = File.exist?(path)
        result[:size] = File.size(path) if File.exist?(path)
        raise "told to fail" if path == "/fail"
        sleep 30 if path == "/slow"
      end
    end
  end
end
