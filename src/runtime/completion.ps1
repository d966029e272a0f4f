# Completion of alpha for PowerShell: alpha completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName alpha, alpha.exe -ScriptBlock {
    param($current, $command, $position)
    $words = @($command.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.Extent.Text })
    $program = $words[0]
    $before = @($words | Select-Object -Skip 1)
    & $program completion candidates @before "@$current" 2>$null | ForEach-Object {
        $word, $remark = $_ -split "`t", 2
        if (-not $remark) { $remark = $word }
        [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $remark)
    }
}
